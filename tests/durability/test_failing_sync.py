"""A failed sync is final: what the kernel holds after it is unknown, so the process must end.

The first process says so, acknowledges nothing more and exits with 1; the next one opens the spool
only after what it writes can be read back from the disk, and goes on.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.durability.evidence import charges_of, check
from tests.durability.faults import Strace, association_of_threads, filers
from tests.durability.scu import OUT_OF_RESOURCES, STORED, Image, association, image, store
from tests.durability.site import ready
from tests.harness import RunningGateway, wait_until
from tests.peers import peer

ONE_WORKER = {"TOLLGATE_DICOM__WORKERS": "1"}
FAIL_NEXT = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1")
HELD = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=3s:when=1")


def gateway_in(data_dir: Path, **options: tuple[str, ...]) -> RunningGateway:
    """All associations in one process, so that it is known which one must not answer any more."""
    return RunningGateway(data_dir, environment=ONE_WORKER, **options)


def ends(gateway: RunningGateway) -> None:
    """It gives itself up, and says why."""
    assert gateway.ended_by_itself() == 1
    assert "sync_failed" in [line["event"] for line in gateway.log]


def goes_on_after_restart(data_dir: Path, kept: list[Image], failed: Image) -> None:
    """A new process serves; what failed is stored at the second attempt and costs one unit."""
    with gateway_in(data_dir) as gateway:
        gateway.drained()
        check(data_dir, kept)
        with association(gateway.dicom_port) as opened:
            assert store(opened, failed) == STORED
        check(data_dir, [*kept, failed])
        assert charges_of(data_dir, failed) == 1
        assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("failed", [image(1, 2), image(2)], ids=["record", "admission"])
def test_a_failed_sync_before_the_answer_ends_the_process(failed: Image, tmp_path: Path) -> None:
    """Of the spool's record or of the ledger: 0xA700, exit status 1, and all is well after it."""
    data_dir = ready(tmp_path / "data")
    with gateway_in(data_dir) as gateway:
        with association_of_threads(gateway) as (opened, serving):
            assert store(opened, image(1)) == STORED
            strace = Strace(serving, tmp_path / "trace", *FAIL_NEXT)
            assert store(opened, failed) == OUT_OF_RESOURCES
            assert store(opened, image(1)) != STORED
        strace.ended()
        ends(gateway)
    goes_on_after_restart(data_dir, [image(1)], failed)


@pytest.mark.slow
@pytest.mark.peer
def test_after_a_failed_sync_no_other_association_is_acknowledged(tmp_path: Path) -> None:
    """No further 0x0000 from that process: a known instance is not confirmed by it either."""
    data_dir = ready(tmp_path / "data")
    known, failed = image(1), image(2)
    with gateway_in(data_dir) as gateway, association(gateway.dicom_port) as other:
        assert store(other, known) == STORED
        with association_of_threads(gateway) as (opened, serving):
            strace = Strace(serving, tmp_path / "trace", *FAIL_NEXT)
            assert store(opened, failed) == OUT_OF_RESOURCES
            assert store(other, known) != STORED
        strace.ended()
        ends(gateway)
    goes_on_after_restart(data_dir, [known], failed)


@pytest.mark.slow
@pytest.mark.peer
def test_after_a_failed_sync_no_store_in_flight_is_acknowledged(tmp_path: Path) -> None:
    """A store whose own sync succeeded while another one's failed is not confirmed either."""
    data_dir = ready(tmp_path / "data")
    slow, failed = image(1, 2), image(1, 3)
    answers: list[int | None] = []
    with gateway_in(data_dir) as gateway:
        with (
            association_of_threads(gateway) as (first, first_thread),
            association_of_threads(gateway) as (second, second_thread),
        ):
            assert store(first, image(1)) == store(second, image(1, 4)) == STORED
            report = tmp_path / "first"
            holding = Strace(first_thread, report, *HELD)
            failing = Strace(second_thread, tmp_path / "second", *FAIL_NEXT)
            flight = threading.Thread(target=lambda: answers.append(store(first, slow)))
            flight.start()
            wait_until(lambda: "fdatasync" in report.read_text())
            assert store(second, failed) == OUT_OF_RESOURCES
            flight.join()
        holding.ended()
        failing.ended()
        ends(gateway)
    assert answers[0] != STORED
    goes_on_after_restart(data_dir, [image(1), image(1, 4)], failed)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("calls", ["fsync,syncfs", "fdatasync"], ids=["archive", "ledger"])
def test_a_failed_sync_of_the_filer_ends_the_process(calls: str, tmp_path: Path) -> None:
    """What was acknowledged waits in the spool; nothing more is acknowledged after it."""
    data_dir = ready(tmp_path / "data")
    known, waiting, after = image(1), image(1, 2), image(1, 3)
    report = tmp_path / "trace"
    with gateway_in(data_dir) as gateway:
        with association(gateway.dicom_port) as opened:
            assert store(opened, known) == STORED
            gateway.drained()
            fault = ("-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO")
            strace = Strace(set(filers(gateway).values()), report, *fault)
            assert store(opened, waiting) == STORED
            wait_until(lambda: "EIO" in report.read_text())
            wait_until(lambda: store(opened, after) != STORED)
        strace.ended()
        ends(gateway)
    goes_on_after_restart(data_dir, [known, waiting], after)


@pytest.mark.slow
@pytest.mark.peer
def test_a_spool_that_failed_is_not_opened_before_it_can_be_read_back(tmp_path: Path) -> None:
    """As long as the disk fails the gateway does not start; once it is well, it does."""
    data_dir = ready(tmp_path / "data")
    with gateway_in(data_dir) as gateway:
        with association_of_threads(gateway) as (opened, serving):
            assert store(opened, image(1)) == STORED
            strace = Strace(serving, tmp_path / "trace", *FAIL_NEXT)
            assert store(opened, image(1, 2)) == OUT_OF_RESOURCES
        strace.ended()
        ends(gateway)
    (probe,) = [folder / "probe" for folder in (data_dir / "spool").iterdir() if folder.is_dir()]
    failing = gateway_in(
        data_dir,
        wrapper=(
            *(str(peer("strace")), "-D", "-f", "--seccomp-bpf", "-o", str(tmp_path / "probing")),
            *("-P", str(probe), "-e", "trace=fsync", "-e", "inject=fsync:error=EIO"),
        ),
    )
    with pytest.raises(AssertionError, match="did not start"):
        failing.start()
    assert "EIO" in (tmp_path / "probing").read_text()
    assert failing.dicom_port == 0
    goes_on_after_restart(data_dir, [image(1)], image(1, 2))
