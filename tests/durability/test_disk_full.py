"""A full disk is clean: 0xA700, nothing charged, the association goes on, service comes back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.durability.evidence import charges_of, check
from tests.durability.faults import Strace, association_of_threads, filers
from tests.durability.figures import record
from tests.durability.scu import (
    OUT_OF_RESOURCES,
    STORED,
    Image,
    associate,
    association,
    end,
    image,
    store,
)
from tests.durability.site import ready
from tests.durability.volume import Ballast, small_volume
from tests.harness import RunningGateway, wait_until

FULL = os.environ.get("TOLLGATE_TEST_PROFILE") == "full"
OFFSETS = range(0, 648 << 10, (4 if FULL else 12) << 10)
"""Bytes left on the disk when a store begins: it runs out in a new segment, in one that grows, in
the ledger's log, or behind the answer."""
_IMAGE_BYTES = 200 << 10
_SMALL_SEGMENTS = {"TOLLGATE_SPOOL__SEGMENT_BYTES": str(128 << 10), "TOLLGATE_DICOM__WORKERS": "1"}
_CHECKED_EVERY = 9
_BACK_S = 10


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_full_disk_costs_nothing_and_ends_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Wherever space runs out the answer is 0xA700 or kept, and service is back with the space."""
    answers: list[int | None] = []
    acknowledged: list[Image] = []
    with small_volume(tmp_path, size_mib=64) as volume:
        ballast = Ballast(volume)
        with RunningGateway(ready(volume / "data"), environment=_SMALL_SEGMENTS) as gateway:
            for number, free_bytes in enumerate(OFFSETS):
                each = image(number, size_bytes=_IMAGE_BYTES)
                with association(gateway.dicom_port) as opened:
                    ballast.leave(free_bytes)
                    answers.append(store(opened, each))
                    charges = charges_of(gateway.data_dir, each)
                    ballast.drop()
                    # Where the ledger is what has no room, it is let in unasked and charged later.
                    assert charges <= (answers[-1] == STORED)
                    began_s = time.monotonic()
                    assert store(opened, each) == STORED
                    assert time.monotonic() - began_s < _BACK_S
                acknowledged.append(each)
                gateway.drained()
                assert charges_of(gateway.data_dir, each) == 1
                if number % _CHECKED_EVERY == 0:
                    check(gateway.data_dir, acknowledged)
            check(gateway.data_dir, acknowledged)
            assert gateway.stop() == 0
    record(request, full_disks=len(answers), refused_for_space=answers.count(OUT_OF_RESOURCES))
    assert set(answers) == {OUT_OF_RESOURCES, STORED}


@pytest.mark.slow
def test_below_the_reserve_nothing_new_is_taken_in(tmp_path: Path) -> None:
    """Associations are rejected with 2/3/1, open ones use the room they have, /readyz says why."""
    with small_volume(tmp_path, size_mib=64) as volume:
        ballast = Ballast(volume)
        reserve = {"TOLLGATE_ARCHIVE__FREE_BYTES_MIN": str(16 << 20)}
        with (
            RunningGateway(ready(volume / "data"), environment=reserve) as gateway,
            association(gateway.dicom_port) as opened,
        ):
            assert store(opened, image(1)) == STORED
            ballast.leave(15 << 20)
            # Each worker looks once a second.
            wait_until(lambda: "disk" in gateway.readiness()[1])
            assert gateway.readiness()[0] == 503
            late = associate(gateway.dicom_port)
            end(late)
            assert late.is_rejected
            rejection = late.acceptor.primitive
            assert rejection is not None
            assert (rejection.result, rejection.result_source, rejection.diagnostic) == (2, 3, 1)
            assert store(opened, image(2)) == STORED
            ballast.drop()
            wait_until(lambda: gateway.readiness()[0] == 200)
            check(gateway.data_dir, [image(1), image(2)])
            opened.release()
            assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.peer
def test_a_refused_write_of_the_spool_costs_nothing_and_ends_nothing(tmp_path: Path) -> None:
    """The same for one call alone, without a file system to fill."""
    with RunningGateway(ready(tmp_path / "data")) as gateway:
        with association_of_threads(gateway) as (opened, serving):
            assert store(opened, image(1)) == STORED
            fault = "inject=pwritev2:error=ENOSPC:when=1"
            strace = Strace(serving, tmp_path / "trace", "-e", "trace=pwritev2", "-e", fault)
            refused = image(1, 2)
            assert store(opened, refused) == OUT_OF_RESOURCES
            assert charges_of(gateway.data_dir, refused) == 1
            strace.detach()
            check(gateway.data_dir, [image(1)])
            assert store(opened, refused) == STORED
        check(gateway.data_dir, [image(1), refused])
        assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize(
    "call, error", [("write", "ENOSPC"), ("mkdir", "ENOSPC"), ("rename", "EIO")]
)
def test_what_the_archive_refuses_is_filed_later(call: str, error: str, tmp_path: Path) -> None:
    """Behind the answer: it stays in the spool, and the next try files it."""
    one = {"TOLLGATE_DICOM__WORKERS": "1"}
    with RunningGateway(ready(tmp_path / "data"), environment=one) as gateway:
        gateway.drained()
        fault = f"inject={call}:error={error}:when=1"
        filing = set(filers(gateway).values())
        strace = Strace(filing, tmp_path / "trace", "-e", f"trace={call}", "-e", fault)
        with association(gateway.dicom_port) as opened:
            assert store(opened, image(1)) == STORED
        check(gateway.data_dir, [image(1)])
        assert error in strace.detach()
        assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.peer
def test_a_log_that_can_not_be_written_stops_no_store(tmp_path: Path) -> None:
    """Standard output may be a file on the same full disk: what is durable is acknowledged."""
    with RunningGateway(ready(tmp_path / "data")) as gateway:
        with association_of_threads(gateway) as (opened, serving):
            opened.dimse_timeout = 10
            # The spool is written by pwritev: every write of this thread is the log's.
            fault = "inject=write:error=ENOSPC:when=1+"
            strace = Strace(serving, tmp_path / "trace", "-e", "trace=write", "-e", fault)
            answers = [store(opened, image(1))]
            strace.detach()
            answers.append(store(opened, image(2)))
        assert answers == [STORED, STORED]
        check(gateway.data_dir, [image(1), image(2)])
        assert gateway.stop() == 0
