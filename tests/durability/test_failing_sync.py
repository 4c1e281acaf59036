"""A failed sync is final: what the kernel holds after it is unknown, so the process must end.

The first process says so, acknowledges nothing more and exits with 1; the next one goes on.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.evidence import charges_of, check
from tests.durability.faults import Strace, association_of_threads, filers
from tests.durability.scu import OUT_OF_RESOURCES, STORED, Image, association, image, store
from tests.durability.site import ready
from tests.harness import RunningGateway, wait_until

ONE_WORKER = {"TOLLGATE_DICOM__WORKERS": "1"}
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
def test_a_failed_sync_of_the_spool_ends_the_process(tmp_path: Path) -> None:
    """0xA700, exit status 1 for whoever watches, and all is well after it."""
    data_dir = ready(tmp_path / "data")
    known, failed = image(1), image(1, 2)
    with RunningGateway(data_dir, environment=ONE_WORKER) as gateway:
        with association_of_threads(gateway) as (opened, serving):
            assert store(opened, known) == STORED
            strace = Strace(serving, tmp_path / "trace", *FAIL_ALL)
            assert store(opened, failed) == OUT_OF_RESOURCES
            assert store(opened, known) != STORED
        strace.ended()
        assert gateway.ended_by_itself() == 1
        assert [line["event"] for line in gateway.log].count("sync_failed") == 1
    goes_on_after_restart(data_dir, [known], failed)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("call", ["fsync", "fdatasync"], ids=["archive", "ledger"])
def test_a_failed_sync_of_the_filer_ends_the_process(call: str, tmp_path: Path) -> None:
    """What was acknowledged waits in the spool; nothing more is acknowledged after it."""
    data_dir = ready(tmp_path / "data")
    known, waiting, after = image(1), image(1, 2), image(1, 3)
    fault = ("-e", f"trace={call}", "-e", f"inject={call}:error=EIO")
    with RunningGateway(data_dir, environment=ONE_WORKER) as gateway:
        with association(gateway.dicom_port) as opened:
            assert store(opened, known) == STORED
            gateway.drained()
            strace = Strace(filers(gateway), tmp_path / "trace", *fault)
            assert store(opened, waiting) == STORED
            wait_until(lambda: "EIO" in (tmp_path / "trace").read_text())
            wait_until(lambda: store(opened, after) != STORED)
        strace.ended()
        assert gateway.ended_by_itself() == 1
    goes_on_after_restart(data_dir, [known, waiting], after)
