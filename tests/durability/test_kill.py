"""SIGKILL at the entry of every system call of a store that durability hangs on: nothing
acknowledged is lost, and nothing is charged twice.

A kill before a call leaves what the call before it left, so a kill between any two steps is among
them. The supervisor starts the killed worker again, which recovers its spool; now and then the
whole gateway is killed instead. In the end the sender sends everything again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability.figures import record
from tests.durability.scu import Image, image
from tests.durability.site import ready
from tests.durability.victim import Victim

FULL = os.environ.get("TOLLGATE_TEST_PROFILE") == "full"
APPEND = "pwritev,pwritev2"
"""Which of the two Python calls depends on the C library."""
LANE = {APPEND: 1, "fdatasync": 1, "flock": 1, "sendto": 1}
"""An association's thread: lease, body and header page, admission, the answer; and every how many
of the calls to kill."""
NEW_SEGMENT = {"fallocate": 1, "fsync": 1, APPEND: 1, "fdatasync": 1, "sendto": 1}
PAGES = {"pwrite64": 1 if FULL else 9}
"""Of the admission's commit: some twenty, all between the same two syncs."""
EVERY_CALL = {**LANE, **PAGES, "openat": 1, "close": 1}
FILER = {"mkdir": 2, "write": 1, "syncfs": 1, "rename": 1, "flock": 1, "fdatasync": 1}
"""A filer: objects, names, rows."""
DESK = {"sendto": 2, APPEND: 1}
"""The worker's thread that tells a filer what to file, and lets go of it."""
FILER_PAGES = {"pwrite64": 1 if FULL else 13}


def first_of_a_study(number: int) -> Image:
    """The first image of a new study: it is admitted and charged."""
    return image(100 + number)


def further_of_a_study(number: int) -> Image:
    """Another image of a known study."""
    return image(1, 100 + number)


def other_content(number: int) -> Image:
    """Other bytes under the UID of a known image: set aside."""
    return image(1, content=100 + number)


def kill_at_each(
    tmp_path: Path,
    calls: dict[str, int],
    new: Callable[[int], Image],
    request: pytest.FixtureRequest,
) -> None:
    """Kill at every one of the calls of a store on the association's thread."""
    with Victim(ready(tmp_path / "data")) as victim:
        victim.store([image(1)])
        for call, every in calls.items():
            before = victim.kills
            victim.kill_at_each(call, every, new)
            assert victim.kills > before
        victim.send_all_again()
        record(request, **victim.figures)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
@pytest.mark.parametrize("calls", [LANE, PAGES], ids=["lane", "pages"])
def test_a_kill_at_any_step_of_a_first_store_loses_nothing_and_charges_once(
    calls: dict[str, int], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What was acknowledged is filed; what was admitted without instance is not charged again."""
    kill_at_each(tmp_path, calls, first_of_a_study, request)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
def test_a_kill_at_any_step_of_making_a_segment_loses_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The association that needs a new segment is killed; what waits in others is filed."""
    with Victim(ready(tmp_path / "data"), workers=1, ready_segments=0) as victim:
        victim.store([image(1)])
        for call, every in NEW_SEGMENT.items():
            before = victim.kills
            victim.kill_at_each(call, every, further_of_a_study, in_new_segment=True)
            assert victim.kills > before
        victim.send_all_again()
        record(request, **victim.figures)


@pytest.mark.full
@pytest.mark.peer
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("new", [first_of_a_study, further_of_a_study, other_content])
def test_a_kill_at_any_call_of_any_store_loses_nothing(
    new: Callable[[int], Image], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All calls that touch files or the network, for each way an instance can be filed."""
    calls = EVERY_CALL if new is first_of_a_study else {APPEND: 1, "fdatasync": 1, "sendto": 1}
    kill_at_each(tmp_path, calls, new, request)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "who, calls",
    [("filer", FILER), ("filer", FILER_PAGES), ("desk", DESK)],
    ids=["steps", "pages", "release"],
)
def test_a_kill_at_any_step_of_filing_loses_nothing_and_doubles_nothing(
    who: str, calls: dict[str, int], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A batch with new instances, a resend and other bytes under a known UID is filed again."""
    with Victim(ready(tmp_path / "data")) as victim:
        victim.store([image(1)])
        for call, every in calls.items():
            before = victim.kills
            victim.kill_filing_at_each(who, call, every)
            assert victim.kills > before
        victim.send_all_again()
        record(request, **victim.figures)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
def test_a_kill_within_a_checkpoint_loses_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """While SQLite moves its log into the database's file, nothing committed is at stake."""
    # 1,000 pages of log make a checkpoint; admitting and filing a study takes about forty.
    calls = (("pwrite64", 1), ("pwrite64", 9), ("fdatasync", 1), ("ftruncate", 1))
    with Victim(ready(tmp_path / "data")) as victim:
        for call, number in calls if FULL else calls[1:3]:
            victim.kill_in_a_checkpoint(call, number)
        record(request, **victim.figures)
        assert victim.kills >= 2
        victim.send_all_again()
