"""The sweep removes what a killed store left unfiled, and never what somebody files meanwhile."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from gateway.bootstrap import ARCHIVE, SPOOL
from tests.durability.evidence import check, filed_objects, objects
from tests.durability.faults import commits_held
from tests.durability.scu import STORED, Image, association, image, store
from tests.durability.site import ACCOUNT, command, document, ready
from tests.harness import RunningGateway, wait_until
from tests.peers import peer

_TWO_DAYS_S = 2 * 86_400


def leave_an_orphan(data_dir: Path, known: Image, lost: Image) -> Path:
    """Store one image, die in the next one's store when its object is there and no row is.

    Returns the orphan, aged as if the gateway had been down for two days.
    """
    with (
        RunningGateway(data_dir, environment={"TOLLGATE_DICOM__WORKERS": "1"}) as gateway,
        association(gateway.dicom_port) as opened,
    ):
        assert store(opened, known) == STORED
        gateway.drained()
        with commits_held(data_dir):
            assert store(opened, lost) == STORED
            wait_until(lambda: objects(data_dir) != filed_objects(data_dir))
            gateway.kill()
    # The spool is lost with its disk: else the next start would file it.
    shutil.rmtree(data_dir / SPOOL)
    (key,) = objects(data_dir) - filed_objects(data_dir)
    orphan = data_dir / ARCHIVE / key
    then = time.time() - _TWO_DAYS_S
    os.utime(orphan, (then, then))
    return orphan


def removing(orphan: Path, report: Path, fault: str) -> tuple[str, ...]:
    """A command in front of the gateway's that lets the removal of one file meet a fault."""
    # -D: the gateway stays our own child.
    strace = (str(peer("strace")), "-D", "-f", "--seccomp-bpf", "-o", str(report))
    calls = "unlink,unlinkat"
    return (*strace, "-P", str(orphan), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}")


@pytest.mark.slow
@pytest.mark.peer
def test_what_a_killed_store_left_is_removed_when_the_gateway_starts(tmp_path: Path) -> None:
    """The orphan goes, what is on record stays, and the sweep is told as an event."""
    data_dir = ready(tmp_path / "data")
    known, lost = image(1), image(1, 2)
    orphan = leave_an_orphan(data_dir, known, lost)
    with RunningGateway(data_dir) as gateway:
        wait_until(lambda: not orphan.exists())
        check(data_dir, [known])
        assert gateway.stop() == 0
    assert [line["count"] for line in gateway.log if line["event"] == "objects_swept"] == [1]


@pytest.mark.slow
@pytest.mark.peer
def test_a_resend_while_the_sweep_removes_its_orphan_is_not_lost(tmp_path: Path) -> None:
    """A sender tries again right after a restart: that is when the sweep runs."""
    data_dir = ready(tmp_path / "data")
    known, lost = image(1), image(1, 2)
    orphan = leave_an_orphan(data_dir, known, lost)
    report = tmp_path / "sweep"
    # Held at its decision to remove.
    held = removing(orphan, report, "delay_enter=3s")
    with RunningGateway(data_dir, wrapper=held) as gateway:
        wait_until(lambda: not orphan.exists() or "unlink" in report.read_text())
        with association(gateway.dicom_port) as opened:
            assert store(opened, lost) == STORED
        wait_until(lambda: any(line["event"] == "objects_swept" for line in gateway.log))
        check(data_dir, [known, lost])
        assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.peer
def test_a_sweep_that_fails_does_not_end_the_keeper(tmp_path: Path) -> None:
    """A file that can't be removed is told; orders are credited all the same."""
    data_dir = ready(tmp_path / "data")
    orphan = leave_an_orphan(data_dir, image(1), image(1, 2))
    failing = removing(orphan, tmp_path / "sweep", "error=EIO")
    with RunningGateway(data_dir, wrapper=failing) as gateway:
        wait_until(lambda: "EIO" in (tmp_path / "sweep").read_text())
        line = ("--account", ACCOUNT, "--exams", "1000", "--order-no", "S2")
        command(data_dir, "order", "place", *line)
        command(data_dir, "order", "pay", "S2")
        assert [order["state"] for order in document(data_dir, "order", "list")] == ["credited"] * 2
        assert "order_credited" in {line["event"] for line in gateway.log}
        assert gateway.stop() == 0
