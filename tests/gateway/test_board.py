"""The board of live associations: counted over all workers, read by anybody, true at any moment."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from gateway.board import Board, Place, WorkerBoard
from gateway.dicom.access import Accepted
from storage.records import Device, Grouping, Institution

ACCEPTED = Accepted(
    institution=Institution(
        id=1, name="East", account_id=1, called_ae_title=None, created_at=0, closed_at=None
    ),
    device=Device(
        id=2,
        ae_title="CT1",
        institution_id=1,
        networks=(),
        grouping=Grouping.STUDY,
        private_sop_classes=(),
        tolerates_leading_zeros=False,
        created_at=0,
        closed_at=None,
    ),
)
FORK = multiprocessing.get_context("fork")


def _take(board: WorkerBoard, source: str = "10.0.0.1") -> Place | None:
    return board.take(ACCEPTED, called_ae_title="TOLLGATE", source=source)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Two workers, three associations at most."""
    return Board.create(tmp_path / "board", workers=2, associations_max=3)


def test_an_association_is_shown_with_what_it_stored_until_it_ends(
    board: Board, tmp_path: Path
) -> None:
    """Another process that maps the file reads it as it is now."""
    worker = WorkerBoard(board, 1, per_source_max=3)
    place = _take(worker)
    assert isinstance(place, Place)
    place.stored(500)
    place.stored(250)
    (shown,) = Board(tmp_path / "board", writable=False).open_associations()
    assert (shown.worker, shown.calling_ae_title, shown.called_ae_title) == (1, "CT1", "TOLLGATE")
    assert (shown.source, shown.institution_id, shown.device_id) == ("10.0.0.1", 1, 2)
    assert (shown.instances, shown.bytes) == (2, 750)
    assert shown.started_at <= shown.last_at
    place.leave()
    assert board.open_associations() == []


def test_the_cap_holds_over_all_workers_and_a_place_given_back_is_free_again(board: Board) -> None:
    """Whichever worker was asked, and whichever gave the place back."""
    workers = [WorkerBoard(board, number, per_source_max=3) for number in range(2)]
    places = [_take(workers[number % 2], f"10.0.0.{number}") for number in range(3)]
    assert _take(workers[0], "10.0.0.9") is None
    assert isinstance(places[0], Place)
    places[0].leave()
    assert isinstance(_take(workers[1], "10.0.0.9"), Place)
    assert _take(workers[1], "10.0.0.10") is None


def test_one_source_does_not_take_every_place(board: Board) -> None:
    """The second cap counts one address over all workers."""
    workers = [WorkerBoard(board, number, per_source_max=2) for number in range(2)]
    assert isinstance(_take(workers[0]), Place)
    assert isinstance(_take(workers[1]), Place)
    assert _take(workers[1]) is None
    assert isinstance(_take(workers[1], "10.0.0.2"), Place)


def test_a_worker_that_is_gone_is_cleared_and_leaves_the_others_alone(board: Board) -> None:
    """Its places are free at once."""
    workers = [WorkerBoard(board, number, per_source_max=3) for number in range(2)]
    for worker in workers:
        _take(worker)
    board.clear(0)
    assert [one.worker for one in board.open_associations()] == [1]


def test_processes_that_race_for_the_last_places_get_as_many_as_there_are(tmp_path: Path) -> None:
    """Twenty attempts, ten places, four processes at once."""
    board = Board.create(tmp_path / "board", workers=4, associations_max=10)
    barrier = FORK.Barrier(4)
    pool = [FORK.Process(target=_take_five, args=(board, n, barrier)) for n in range(4)]
    for process in pool:
        process.start()
    for process in pool:
        process.join(30)
    assert len(board.open_associations()) == 10
    assert sum(process.exitcode or 0 for process in pool) == 10


def _take_five(board: Board, worker: int, barrier: Barrier) -> None:
    rows = WorkerBoard(board, worker, per_source_max=10)
    barrier.wait(30)
    raise SystemExit(sum(isinstance(_take(rows), Place) for _ in range(5)))


def test_a_file_of_another_version_is_no_board(tmp_path: Path) -> None:
    """It is told, not misread."""
    path = tmp_path / "board"
    path.write_bytes(bytes(1024))
    with pytest.raises(ValueError, match="no board"):
        Board(path, writable=False)


def test_a_worker_that_said_nothing_lately_keeps_the_gateway_from_being_ready(board: Board) -> None:
    """So does a reason that one gave, until it takes it back."""
    board.beat(0, [])
    assert board.not_ready() == ["worker 1 does not run"]
    board.beat(1, ["the disk is nearly full"])
    assert board.not_ready() == ["the disk is nearly full"]
    board.beat(1, [])
    assert board.not_ready() == []
    board.clear(0)
    assert board.not_ready() == ["worker 0 does not run"]
