"""The desk between a worker and its filer: over a spool, and over the sockets that outlive both."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from socket import socket

import pytest

from gateway.desk import FilingDesk, Waiting
from gateway.desk_link import DeskServer, DeskSilent, RemoteDesk, pair
from storage.spool import RecordRef, Spool, read_places
from tests.storage.spool import kit


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """One with three records."""
    with kit.open_spool(tmp_path) as spool:
        lease = spool.lease()
        for number in range(3):
            kit.put(lease, b"%d" % number * 5_000, received_at=number)
        lease.end()
        yield spool


@pytest.fixture
def ends() -> Iterator[tuple[socket, socket]]:
    """The worker's and the filer's."""
    worker, filer = pair()
    with worker, filer:
        yield worker, filer


@contextmanager
def served(desk: FilingDesk, end: socket) -> Iterator[None]:
    """Answer for a desk for a while."""
    server = DeskServer(desk, end)
    server.start()
    try:
        yield
    finally:
        server.stop()


def bodies(desk: RemoteDesk) -> list[bytes]:
    """What the filer's process reads of the records it is told of."""
    places = desk.places(0, 10)
    records = read_places(desk.directories[0], places, damaged=partial(desk.damaged, 0))
    return [b"".join(record.chunks()) for record in records]


def test_a_filer_reads_and_lets_go_through_the_link(
    spool: Spool, ends: tuple[socket, socket]
) -> None:
    """All of the desk's calls, from another process's point of view."""
    told: list[int] = []
    desk = FilingDesk([spool], released=lambda: told.append(spool.usage().records))
    with served(desk, ends[0]):
        remote = RemoteDesk(desk.directories, ends[1])
        assert remote.wait_for_records(1)
        assert remote.waiting() == Waiting(records=3, hurried=False)
        assert bodies(remote) == [b"%d" % number * 5_000 for number in range(3)]
        first, second, third = (place.ref for place in remote.places(0, 10))
        remote.damaged(0, second, "as a test says")
        assert [place.ref for place in remote.places(0, 10)] == [first, third]
        remote.release(0, [first, third], size_bytes=10_000)
        assert remote.waiting().records == 0
        assert not remote.wait_for_records(0)
        remote.sync_failed()
    assert told == [0] and desk.filed_bytes[spool.id] == 10_000
    assert [damage.what for damage in spool.damages()] == ["as a test says"]
    assert desk.filer_is_sick


def test_a_question_to_a_worker_that_died_is_asked_of_the_next(
    spool: Spool, ends: tuple[socket, socket]
) -> None:
    """The one that died took the question with it; its successor says that it is there."""
    found: list[bytes] = []
    remote = RemoteDesk([spool.directory], ends[1])
    asking = threading.Thread(target=lambda: found.extend(bodies(remote)))
    asking.start()
    ends[0].settimeout(5)
    assert json.loads(ends[0].recv(1 << 20))["do"] == "places"
    with served(FilingDesk([spool]), ends[0]):
        asking.join(5)
    assert len(found) == 3


def test_answers_to_a_filer_that_died_are_for_nobody(
    spool: Spool, ends: tuple[socket, socket]
) -> None:
    """Those that came before the next one was started, and those after."""
    desk = FilingDesk([spool])
    stale = json.dumps({"number": 7, "do": "places", "with": [0, 1]}).encode()
    ends[1].send(stale)
    with served(desk, ends[0]):
        remote = RemoteDesk(desk.directories, ends[1])
        ends[1].send(stale)
        assert len(bodies(remote)) == 3
        assert remote.waiting().records == 3


def test_what_the_worker_can_not_do_is_told_by_its_kind_alone(
    spool: Spool, ends: tuple[socket, socket]
) -> None:
    """An error's text may quote anything. The link goes on."""
    desk = FilingDesk([spool])
    with served(desk, ends[0]):
        remote = RemoteDesk(desk.directories, ends[1])
        with pytest.raises(DeskSilent, match=r"could not answer \(IndexError\)"):
            remote.places(5, 1)
        assert remote.waiting().records == 3


def test_a_filer_that_is_to_end_waits_for_no_answer(ends: tuple[socket, socket]) -> None:
    """The worker is gone before it, and will not come again."""
    ending = threading.Event()
    ending.set()
    with pytest.raises(DeskSilent):
        RemoteDesk([Path("nowhere")], ends[1], ending=ending.is_set).waiting()


def test_questions_that_nobody_reads_are_given_up(ends: tuple[socket, socket]) -> None:
    """A worker that stands still must not hold its filer up for ever."""
    ends[1].settimeout(0)
    with suppress(BlockingIOError):
        while True:
            ends[1].send(bytes(50_000))
    ending = threading.Event()
    remote = RemoteDesk([Path("nowhere")], ends[1], ending=ending.is_set)
    with pytest.raises(DeskSilent, match="does not listen"):
        remote.waiting()


def test_whoever_waits_for_a_record_hurries_the_filer(spool: Spool) -> None:
    """`ack = "archive"`: a batch is not gathered while a device waits for it."""
    desk = FilingDesk([spool])
    (first, *_) = desk.places(0, 1)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(desk.wait_filed(first.ref)))
    waiting.start()
    while not desk.waiting().hurried:
        pass
    desk.release(0, [first.ref], size_bytes=1)
    waiting.join(5)
    assert answers == [True] and not desk.waiting().hurried


def test_the_end_waits_for_the_filer_as_long_as_it_may(spool: Spool) -> None:
    """What is left is filed by the next gateway."""
    desk = FilingDesk([spool])
    assert not desk.finish(0.01)
    assert desk.waiting().hurried
    refs = [place.ref for place in desk.places(0, 10)]
    desk.release(0, [*refs, RecordRef(segment=99, generation=1, number=0)], size_bytes=1)
    assert desk.finish(0.01)
