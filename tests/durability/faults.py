"""Faults in the system calls of a running gateway, by strace, on chosen threads only.

Which call comes how often is then known: a thread begins with its association, and strace counts
per thread and call. Start-up, the keeper and other associations go on undisturbed.
"""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pynetdicom.association import Association

from tests.benchmarks.peers.processes import descendants
from tests.durability.scu import association
from tests.harness import RunningGateway, wait_until
from tests.peers import missing, peer


def threads(gateway: RunningGateway) -> set[int]:
    """The kernel's ids of the threads of all the gateway's processes."""
    assert gateway.process is not None
    return {
        int(task.name)
        for pid in descendants(gateway.process.pid)
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def process_of(thread: int) -> int:
    """The process that a thread belongs to."""
    status = Path(f"/proc/{thread}/status").read_text()
    return int(status.partition("\nTgid:")[2].split()[0])


def threads_of(process: int) -> set[int]:
    """The kernel's ids of the threads of one process."""
    return {int(task.name) for task in Path(f"/proc/{process}/task").iterdir()}


def filers(gateway: RunningGateway) -> dict[str, int]:
    """The processes that file, by the names of the workers they file for; each has one thread
    that matters, its first."""
    assert gateway.process is not None
    names = {pid: name_of(pid) for pid in descendants(gateway.process.pid)}
    return {
        name.replace("filer", "worker"): pid
        for pid, name in names.items()
        if name.startswith("filer-")
    }


def filer_of(gateway: RunningGateway, worker: int) -> int:
    """The process that files for a worker; one that was just started anew is waited for."""
    name = name_of(worker)
    wait_until(lambda: name in filers(gateway))
    return filers(gateway)[name]


def name_of(process: int) -> str:
    """What a process of the gateway is called: `worker-0`, `filer-0`, `control`."""
    return Path(f"/proc/{process}/comm").read_text().strip()


def desk_of(worker: int) -> int:
    """The kernel's id of the thread of a worker that its filer asks."""
    (found,) = [
        thread
        for thread in threads_of(worker)
        if Path(f"/proc/{worker}/task/{thread}/comm").read_text() == "desk\n"
    ]
    return found


@contextmanager
def association_of_threads(gateway: RunningGateway) -> Iterator[tuple[Association, set[int]]]:
    """An association with the id of the thread that serves it."""
    before = threads(gateway)
    with association(gateway.dicom_port) as opened:
        serving = threads(gateway) - before
        assert len(serving) == 1
        yield opened, serving


@contextmanager
def commits_held(data_dir: Path) -> Iterator[None]:
    """Stand first in the queue of writers: objects become durable, and no row is committed."""
    with (data_dir / "ledger.lock").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Strace:
    """strace on some threads, with its `-e` and `-P` options; its report is read at the end."""

    def __init__(self, traced: set[int], report: Path, *options: str) -> None:
        pids = [option for thread in sorted(traced) for option in ("-p", str(thread))]
        self._report = report
        self._process = subprocess.Popen(
            [peer("strace"), "-y", "-o", str(report), *options, *pids],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._await_attached(len(traced))

    def _await_attached(self, count: int) -> None:
        assert self._process.stderr is not None
        for _ in range(count):
            line = self._process.stderr.readline()
            if "ttached" not in line:
                self._process.kill()
                self._process.communicate()
                if "not permitted" in line:
                    missing("strace may not attach here (ptrace is forbidden)")
                raise AssertionError(f"strace did not attach: {line}")

    def detach(self) -> str:
        """Let go of the threads; returns the report."""
        self._process.terminate()
        return self.ended()

    def ended(self) -> str:
        """Wait until the traced threads have ended; returns the report."""
        self._process.communicate(timeout=60)
        return self._report.read_text(errors="backslashreplace")
