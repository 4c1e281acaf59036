"""SIGKILL at the entry of every system call of a store: nothing acknowledged is lost.

A kill before a call leaves what the call before it left, so a kill between any two steps is among
them. After each one the gateway is started again; in the end the sender sends everything again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.durability import evidence
from tests.durability.faults import Strace, association_of_threads, filers
from tests.durability.scu import STORED, Image, association, image, store
from tests.durability.site import ready
from tests.harness import RunningGateway, wait_until

FULL = os.environ.get("TOLLGATE_TEST_PROFILE") == "full"
SPOOL = {"pwritev2": 1, "fdatasync": 1, "sendto": 1}
ADMISSION = {"flock": 1}
OBJECT = {"write": 1, "fsync": 1, "mkdir": 1, "rename": 1}
RECORD = {"flock": 1, "fdatasync": 1}
EVERY_CALL = {**SPOOL, **ADMISSION, "openat": 1, "close": 1}
"""The calls that change what is durable or what a sender knows, and every how many to kill."""
PAGES = {"pwrite64": 1 if FULL else 17}
"""Some fifty for one commit, all between the same two syncs."""


def record(request: pytest.FixtureRequest, name: str, count: int) -> None:
    """Put a count beside the test's result in a report of the run."""
    request.node.user_properties.append((name, count))


@dataclass
class Victim:
    """A gateway that is killed and started again on the same data directory."""

    data_dir: Path
    sent: list[Image] = field(default_factory=list)
    acknowledged: list[Image] = field(default_factory=list)
    kills: int = 0
    gateway: RunningGateway = field(init=False)

    def __enter__(self) -> Victim:
        self.gateway = self._started()
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.kill()

    def restart_and_check(self) -> None:
        """Start it again as an operator would, without repair; all that was promised is there."""
        self.gateway.kill()
        self.gateway = self._started()
        evidence.check(self.data_dir, self.acknowledged)

    def _started(self) -> RunningGateway:
        """With one worker, so that it is known which process files."""
        return RunningGateway(self.data_dir, environment={"TOLLGATE_DICOM__WORKERS": "1"}).start()

    def store(self, images: Iterable[Image]) -> None:
        """Send over an association of its own what must be stored."""
        with association(self.gateway.dicom_port) as opened:
            for each in images:
                assert store(opened, each) == STORED
                self.acknowledged.append(each)

    def is_killed(self, images: Iterable[Image], *options: str) -> bool:
        """Send while strace waits for its call; returns whether it killed."""
        report = self.data_dir.parent / "strace.txt"
        with association_of_threads(self.gateway) as (opened, serving):
            strace = Strace(serving, report, *options)
            for each in images:
                self.sent.append(each)
                if (status := store(opened, each)) != STORED:
                    assert status is None
                    break
                self.acknowledged.append(each)
        killed = "+++ killed by SIGKILL +++" in strace.ended()
        self.kills += killed
        return killed

    def is_killed_filing(self, images: Iterable[Image], *options: str) -> bool:
        """Send while strace waits for a call of the filer's; returns whether it killed."""
        report = self.data_dir.parent / "strace.txt"
        self.gateway.drained()
        strace = Strace(filers(self.gateway), report, *options)
        self.store(images)
        self.sent = [*self.sent, *self.acknowledged[-1:]]

        def killed() -> bool:
            return "killed by SIGKILL" in report.read_text(errors="backslashreplace")

        wait_until(lambda: killed() or not evidence.missing(self.data_dir, self.acknowledged))
        self.kills += killed()
        if killed():
            return True
        strace.detach()
        return False

    def kill_at_each(
        self, call: str, every: int, new: Callable[[int], Image], *, filing: bool
    ) -> None:
        """Kill at the first, second … `call` of a store until one passes without a kill."""
        is_killed = self.is_killed_filing if filing else self.is_killed
        number, killed = 1, True
        while killed:
            fault = f"inject={call}:signal=KILL:when={number}"
            killed = is_killed([new(len(self.sent))], "-e", f"trace={call}", "-e", fault)
            self.restart_and_check()
            number += every

    def send_all_again(self) -> None:
        """The senders' second attempt: every image is stored, every study has cost one unit."""
        self.store(self.sent)
        evidence.check(self.data_dir, self.sent)
        assert evidence.empty_examinations(self.data_dir) == 0
        for each in self.sent:
            assert evidence.charges_of(self.data_dir, each) == 1
        assert self.gateway.run("verify").returncode == 0


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
    *,
    filing: bool,
) -> None:
    """Kill at every one of the calls of a store or of its filing, a fresh process for each."""
    with Victim(ready(tmp_path / "data")) as victim:
        victim.store([image(1)])
        for call, every in calls.items():
            before = victim.kills
            victim.kill_at_each(call, every, new, filing=filing)
            record(request, f"kills_at_{call}", victim.kills - before)
            assert victim.kills > before
        victim.send_all_again()


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "calls", [SPOOL, ADMISSION, PAGES], ids=["spool", "admission", "pages of the admission"]
)
def test_a_kill_at_any_step_of_a_first_store_loses_nothing_and_charges_once(
    calls: dict[str, int], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Up to the answer: an examination admitted in vain is the resend's, and charged once."""
    kill_at_each(tmp_path, calls, first_of_a_study, request, filing=False)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "calls", [OBJECT, RECORD, PAGES], ids=["object", "record", "pages of the record"]
)
def test_a_kill_at_any_step_of_filing_loses_nothing_and_files_once(
    calls: dict[str, int], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Behind the answer: what was acknowledged is filed by the next process."""
    kill_at_each(tmp_path, calls, first_of_a_study, request, filing=True)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
def test_a_kill_at_any_step_of_setting_aside_loses_neither_content(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The first filed stays as it was; the newcomer is in quarantine or is sent again."""
    calls = {"rename": 1, "flock": 1, "fdatasync": 1}
    kill_at_each(tmp_path, calls, other_content, request, filing=True)


@pytest.mark.full
@pytest.mark.peer
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("new", [first_of_a_study, further_of_a_study, other_content])
def test_a_kill_at_any_call_of_any_store_loses_nothing(
    new: Callable[[int], Image], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All calls that touch files or the network, for each way an instance can be filed."""
    kill_at_each(tmp_path, EVERY_CALL, new, request, filing=False)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
def test_a_kill_within_a_checkpoint_loses_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """While SQLite moves its log into the database's file, nothing committed is at stake."""
    # 1,000 pages of log make a checkpoint; a first store takes about twenty.
    far, near = 40, 40
    calls = (("pwrite64", 1), ("pwrite64", 9), ("fdatasync", 1), ("ftruncate", 1))
    with Victim(ready(tmp_path / "data")) as victim:
        database = ("-P", str(victim.data_dir / "tollgate.sqlite3"))
        for call, number in calls if FULL else calls[1:3]:
            fault = f"inject={call}:signal=KILL:when={number}"
            start = len(victim.acknowledged)
            victim.store(image(2_000 + start + n) for n in range(far))
            series = [image(4_000 + start + n) for n in range(near)]
            victim.is_killed(series, *database, "-e", f"trace={call}", "-e", fault)
            victim.restart_and_check()
        record(request, "kills_in_checkpoints", victim.kills)
        assert victim.kills >= 2
        victim.send_all_again()
