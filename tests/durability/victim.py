"""A gateway that is killed at chosen system calls, and goes on with the same data directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.bootstrap import SPOOL
from tests.durability import evidence
from tests.durability.faults import (
    Strace,
    association_of_threads,
    commits_held,
    desk_of,
    filer_of,
    process_of,
    threads_of,
)
from tests.durability.scu import STORED, Image, association, image, store
from tests.harness import RunningGateway, wait_until

KILLED = "+++ killed by SIGKILL +++"
_RESTARTS_BY_SUPERVISOR = 3
"""The pause before a restart doubles each time: after so many the whole gateway is restarted."""


@dataclass
class Victim:
    """Sends, is killed, recovers; knows what it owes."""

    data_dir: Path
    workers: int = 0
    ready_segments: int = 2
    sent: list[Image] = field(default_factory=list)
    acknowledged: list[Image] = field(default_factory=list)
    kills: int = 0
    gateway: RunningGateway = field(init=False)
    _unchecked: int = 0
    _deaths: int = 0
    """Of workers of the running gateway."""

    def __enter__(self) -> Victim:
        self._start()
        return self

    def _start(self) -> None:
        environment = {
            "TOLLGATE_DICOM__WORKERS": str(self.workers),
            "TOLLGATE_SPOOL__READY_SEGMENTS": str(self.ready_segments),
        }
        self.gateway = RunningGateway(self.data_dir, environment=environment).start()

    def __exit__(self, *_: object) -> None:
        self.gateway.kill()

    @property
    def figures(self) -> dict[str, int]:
        """For the report of the run; that nothing is lost or doubled was asserted."""
        return {
            "kills": self.kills,
            "acknowledged": len({each.encoded for each in self.acknowledged}),
            "lost": 0,
            "doubled": 0,
        }

    def recovers(self) -> None:
        """After a kill: what was acknowledged is filed, by a restarted worker or gateway."""
        self._unchecked += 1
        if self._unchecked < _RESTARTS_BY_SUPERVISOR:
            wait_until(self._all_run)
            wait_until(lambda: not evidence.missing(self.data_dir, self.acknowledged))
            evidence.assert_charged_once(self.data_dir)
            return
        self._unchecked = self._deaths = 0
        self.gateway.kill()
        self._start()
        self.gateway.drained()
        evidence.check(self.data_dir, self.acknowledged)

    def _all_run(self) -> bool:
        """Whether every process that ended was started again, and is ready."""
        ended, restarted = map(self._count, ("process_ended", "process_restarted"))
        return ended == restarted and self.gateway.readiness()[0] == 200

    def _count(self, event: str) -> int:
        return [line["event"] for line in self.gateway.log].count(event)

    def store(self, images: Iterable[Image]) -> None:
        """Send over an association of its own what must be stored."""
        with association(self.gateway.dicom_port) as opened:
            for each in images:
                assert store(opened, each) == STORED
                self.acknowledged.append(each)

    def kill_at_each(
        self,
        call: str,
        every: int,
        new: Callable[[int], Image],
        *,
        in_new_segment: bool = False,
    ) -> None:
        """Kill at the first, second … `call` of a store until one passes without a kill."""
        number, killed = 1, True
        while killed:
            with ExitStack() as held:
                if in_new_segment:
                    held.enter_context(self._segments_in_use(new))
                report = self._send_and_kill(call, number, new)
            killed = self._was_killed(report)
            number += every

    def _send_and_kill(self, call: str, number: int, new: Callable[[int], Image]) -> str:
        with association_of_threads(self.gateway) as (opened, serving):
            strace = Strace(serving, self._report, *_killing(call, number))
            self.sent.append(new(len(self.sent)))
            if (status := store(opened, self.sent[-1])) == STORED:
                self.acknowledged.append(self.sent[-1])
            assert status in {STORED, None}
        return strace.ended()

    @contextmanager
    def _segments_in_use(self, new: Callable[[int], Image]) -> Iterator[None]:
        """Every segment of the pool is taken, and none is given back, for nothing is filed."""
        with commits_held(self.data_dir):
            before = self._segments()
            while self._segments() == before:
                each = new(len(self.sent))
                self.sent.append(each)
                self.store([each])
            yield

    def _segments(self) -> int:
        return len(list((self.data_dir / SPOOL).glob("*/*.segment")))

    def kill_filing_at_each(self, who: str, call: str, every: int) -> None:
        """The same in the filer, or in the worker's desk for it, while a batch is filed."""
        number, killed = 1, True
        while killed:
            with self._batch_waiting(who) as thread:
                strace = Strace({thread}, self._report, *_killing(call, number))
            wait_until(self._filed_or_killed)
            killed = self._was_killed(strace.ended() if self._reported() else strace.detach())
            number += every

    @contextmanager
    def _batch_waiting(self, who: str) -> Iterator[int]:
        """Records of each kind wait to be filed in one batch; yields the thread to be killed."""
        number = len(self.sent)
        batch = [image(1, 100 + number), image(1, 101 + number), image(1, content=102 + number)]
        batch.append(self.acknowledged[0])
        with association_of_threads(self.gateway) as (opened, serving):
            worker = process_of(serving.pop())
            thread = filer_of(self.gateway, worker) if who == "filer" else desk_of(worker)
            with commits_held(self.data_dir):
                for each in batch:
                    self.sent.append(each)
                    assert store(opened, each) == STORED
                    self.acknowledged.append(each)
                yield thread

    def kill_in_a_checkpoint(self, call: str, number: int) -> None:
        """Store studies until SQLite moves its log, and kill at a call of that."""
        database = ("-P", str(self.data_dir / "tollgate.sqlite3"))
        start = 2_000 + len(self.sent)
        with association_of_threads(self.gateway) as (opened, serving):
            strace = Strace(
                threads_of(process_of(serving.pop())),
                self._report,
                *database,
                *_killing(call, number),
            )
            for each in (image(start + n) for n in range(80)):
                self.sent.append(each)
                if store(opened, each) != STORED:
                    break
                self.acknowledged.append(each)
        wait_until(self._reported)
        assert self._was_killed(strace.ended())

    def send_all_again(self) -> None:
        """The senders' second attempt: every image is stored, every study has cost one unit."""
        self.gateway.kill()
        self._start()
        self.store(self.sent)
        evidence.check(self.data_dir, self.sent)
        assert evidence.empty_examinations(self.data_dir) == 0
        for each in self.sent:
            assert evidence.charges_of(self.data_dir, each) == 1
        assert self.gateway.run("verify").returncode == 0

    @property
    def _report(self) -> Path:
        return self.data_dir.parent / "strace.txt"

    def _reported(self) -> bool:
        """Whether strace has told of a kill."""
        return KILLED in self._report.read_text(errors="backslashreplace")

    def _filed_or_killed(self) -> bool:
        return self._reported() or self.gateway.metric("tollgate_spool_records") == 0

    def _was_killed(self, report: str) -> bool:
        killed = KILLED in report
        self.kills += killed
        if killed:
            self._deaths += 1
            # At least: one that was killed as it told what it had filed by then, a log line after
            # the release, may have passed for one that was not killed.
            wait_until(lambda: self._count("process_ended") >= self._deaths)
        self.recovers()
        return killed


def _killing(call: str, number: int) -> tuple[str, ...]:
    return "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"
