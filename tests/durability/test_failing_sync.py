"""A failed sync is final: what the kernel holds after it is unknown, so the process must end.

The first process says so, acknowledges nothing more and exits with 1; the next one goes on.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.durability.evidence import charges_of, check, objects
from tests.durability.faults import Strace, association_of_threads, commits_held
from tests.durability.scu import OUT_OF_RESOURCES, STORED, Image, association, image, store
from tests.durability.site import ready
from tests.harness import RunningGateway, wait_until

FAIL_ALL = ("-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")


def goes_on_after_restart(data_dir: Path, kept: list[Image], failed: Image) -> None:
    """A new process serves; what failed is stored at the second attempt and costs one unit."""
    with RunningGateway(data_dir) as gateway:
        check(data_dir, kept)
        with association(gateway.dicom_port) as opened:
            assert store(opened, failed) == STORED
        check(data_dir, [*kept, failed])
        assert charges_of(data_dir, failed) == 1
        assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("number", [1, 2, 5], ids=["object", "new folder", "last folder"])
def test_a_failed_sync_of_the_archive_ends_the_process(number: int, tmp_path: Path) -> None:
    """0xA700, nothing charged, exit status 1 for whoever watches, and all is well after it."""
    data_dir = ready(tmp_path / "data")
    before, failed = image(1), image(2)
    fault = f"inject=fsync:error=EIO:when={number}"
    with RunningGateway(data_dir) as gateway:
        with association_of_threads(gateway) as (opened, serving):
            strace = Strace(serving, tmp_path / "trace", "-e", "trace=fsync", "-e", fault)
            assert store(opened, failed) == OUT_OF_RESOURCES
            assert store(opened, before) != STORED
        strace.ended()
        assert gateway.ended_by_itself() == 1
        assert [line["event"] for line in gateway.log].count("sync_failed") == 1
        assert charges_of(data_dir, failed) == 0
    goes_on_after_restart(data_dir, [], failed)


@pytest.mark.slow
@pytest.mark.peer
def test_after_a_failed_sync_not_even_a_resend_is_acknowledged(tmp_path: Path) -> None:
    """No further 0x0000 from that process: a known instance is not confirmed by it either."""
    data_dir = ready(tmp_path / "data")
    known, failed = image(1), image(2)
    with RunningGateway(data_dir) as gateway, association(gateway.dicom_port) as other:
        assert store(other, known) == STORED
        with association_of_threads(gateway) as (opened, serving):
            strace = Strace(serving, tmp_path / "trace", *FAIL_ALL)
            assert store(opened, failed) == OUT_OF_RESOURCES
            assert store(other, known) != STORED
        strace.ended()
        assert gateway.ended_by_itself() == 1
    goes_on_after_restart(data_dir, [known], failed)


@pytest.mark.slow
@pytest.mark.peer
def test_after_a_failed_sync_no_store_in_flight_is_acknowledged(tmp_path: Path) -> None:
    """A store that was past its own syncs when another one's failed is not confirmed either."""
    data_dir = ready(tmp_path / "data")
    slow, failed = image(1), image(2)
    answers: list[int | None] = []
    with RunningGateway(data_dir) as gateway, association(gateway.dicom_port) as first:
        flight = threading.Thread(target=lambda: answers.append(store(first, slow)))
        with commits_held(data_dir):
            flight.start()
            wait_until(lambda: objects(data_dir) != set())
            with association_of_threads(gateway) as (second, serving):
                strace = Strace(serving, tmp_path / "trace", *FAIL_ALL)
                assert store(second, failed) == OUT_OF_RESOURCES
            strace.ended()
        flight.join()
        assert gateway.ended_by_itself() == 1
    assert answers[0] != STORED
    goes_on_after_restart(data_dir, [], failed)


@pytest.mark.slow
@pytest.mark.peer
def test_a_failed_sync_of_the_ledger_ends_the_process(tmp_path: Path) -> None:
    """The database's log is as precious as the archive: a failed sync of it is final too."""
    data_dir = ready(tmp_path / "data")
    failed, after = image(2), image(3)
    fault = "inject=fdatasync:error=EIO"
    with RunningGateway(data_dir) as gateway:
        with association_of_threads(gateway) as (opened, serving):
            strace = Strace(serving, tmp_path / "trace", "-e", "trace=fdatasync", "-e", fault)
            refused = store(opened, failed)
            strace.detach()
            assert refused == OUT_OF_RESOURCES
            assert store(opened, after) != STORED
        assert gateway.ended_by_itself() == 1
    goes_on_after_restart(data_dir, [], failed)
