"""One round of one scenario on one receiver."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.peers.processes import Memory, cpu_s
from tests.benchmarks.peers.receivers import Receiver
from tests.benchmarks.peers.scenario import Outcome, Scenario
from tests.benchmarks.peers.senders import send
from tests.harness import wait_until

_FILED_S = 600


class NotAllArrived(Exception):
    """The receiver answered 0x0000 for more than it has."""


def measure(
    scenario: Scenario, receiver_type: type[Receiver], folders: Sequence[Path], *, below: Path
) -> Outcome:
    """Start a receiver on an empty folder, send everything, wait until all of it is filed.

    The folder stays: without a journal, ext4 searches past what was deleted in the last minutes
    for each file that it creates, and the next receiver would pay for the one before.
    Raises NotStored, and NotAllArrived where an answer was a lie.
    """
    folder = Path(tempfile.mkdtemp(prefix="receiver-", dir=below))
    receiver = receiver_type(folder, scenario)
    try:
        receiver.start()
        before_s = cpu_s(receiver.pid)
        began = time.monotonic()
        with Memory(receiver.pid).watched() as memory:
            sent = send(
                folders,
                receiver.port,
                sender=scenario.sender,
                called=receiver.called,
                nagle=scenario.nagle,
                floor=receiver.floor,
            )
            answered = time.monotonic()
            _wait_until_filed(receiver, scenario.instances)
            filing_s = time.monotonic() - answered
            used_s = cpu_s(receiver.pid) - before_s
        assert sent.seconds <= answered - began
    finally:
        receiver.stop()
        # What it left to the kernel to write must not be written beside the next one's work.
        os.sync()
    return Outcome(
        answered_s=sent.seconds,
        filed_s=sent.seconds + filing_s,
        sent_bytes=sum(path.stat().st_size for one in folders for path in one.iterdir()),
        instances=scenario.instances,
        cpu_s=used_s,
        peak_rss_bytes=memory.peak_bytes,
        largest_process_bytes=memory.largest_process_bytes,
        p50_ms=sent.p50_ms,
        p99_ms=sent.p99_ms,
    )


def _wait_until_filed(receiver: Receiver, instances: int) -> None:
    try:
        wait_until(lambda: receiver.arrived() >= instances, _FILED_S)
    except AssertionError:
        raise NotAllArrived(f"{receiver.name}: {receiver.arrived()} of {instances}") from None
    if (arrived := receiver.arrived()) != instances:
        raise NotAllArrived(f"{receiver.name}: {arrived} of {instances}")
