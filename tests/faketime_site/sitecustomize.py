"""Loaded by a Python process under libfaketime: mends the one call that the library breaks.

`time.sleep` is clock_nanosleep with an absolute monotonic time in Python 3.11. libfaketime 0.9.10
fails that with EINVAL where the monotonic clock is left alone, and where it is not, timed waits on
locks hang. `select` sleeps as well and is not intercepted.
"""

import select
import time


def _sleep(seconds: float, /) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep  # type: ignore[assignment]
