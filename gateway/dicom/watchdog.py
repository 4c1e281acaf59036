"""The clock of all connections: ends those whose peers keep us waiting for too long.

One thread for all of them. A timeout on each socket would make Python poll before each read, and
would begin anew with each byte of a peer that drips.
"""

from __future__ import annotations

import threading
import time

from gateway.dicom.associations import Associations

_LATENESS_S_MAX = 0.5
_WAIT_S_MIN = 0.01


def watch(associations: Associations, *, shortest_timeout_s: float) -> None:
    """Begin to watch `associations`, for the rest of the process.

    A silent connection is ended at its time; one with little patience left at most half a second
    later, or a quarter of the shortest timeout if that is less.
    """
    lateness_s = min(_LATENESS_S_MAX, shortest_timeout_s / 4)

    def run() -> None:
        pause = threading.Event()
        while True:
            associations.wait_for_connections()
            due_s = associations.expire_overdue(time.monotonic())
            pause.wait(min(max(due_s - time.monotonic(), _WAIT_S_MIN), lateness_s))

    threading.Thread(target=run, name="dicom-watchdog", daemon=True).start()
