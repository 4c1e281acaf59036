"""Children: heard, restarted with growing pauses, ended in time, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.children import Child, Children, Link
from tests.harness import wait_until


@pytest.fixture
def children() -> Iterator[Children]:
    """A supervisor that leaves nothing behind, even by a failing test."""
    made = Children()
    yield made
    made.end(made._children, 0)  # noqa: SLF001 - nothing may outlive a failing test
    made.close()


def _until_stopped(link: Link) -> int:
    link.say(ready=True)
    link.stop.wait(60)
    link.say(drained=3)
    return 0


def _deaf(link: Link) -> int:
    link.say(ready=True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    link.say(deaf=True)
    link.stop.wait(60)
    return 0


def _heard(children: Children, child: Child, name: str) -> None:
    deadline_s = time.monotonic() + 30
    while name not in child.said:
        assert time.monotonic() < deadline_s
        children.wait(1)


def test_a_child_is_heard_and_ends_when_told(children: Children) -> None:
    """What it said is there, and so is its exit status."""
    child = children.add("one", _until_stopped)
    _heard(children, child, "ready")
    assert children.end([child], 30) == [(child, 0)]
    assert child.said["drained"] == 3


def test_a_child_that_does_not_end_in_time_is_killed(children: Children) -> None:
    """SIGKILL after the time, told as such."""
    child = children.add("deaf", _deaf)
    _heard(children, child, "deaf")
    assert children.end([child], 0.1) == [(child, -signal.SIGKILL)]


def test_a_child_that_died_is_told_and_started_again_after_a_pause(children: Children) -> None:
    """As another process, that is heard like the first."""
    child = children.add("one", _until_stopped)
    _heard(children, child, "ready")
    first = child.process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    ended: list[tuple[Child, int]] = []
    while not ended:
        ended = children.wait(30)
    assert ended == [(child, -signal.SIGKILL)]
    assert children.restart_later(child) > 0
    assert children.restart_due() == []
    child.restart_at_s = time.monotonic()
    assert children.restart_due() == [child]
    _heard(children, child, "ready")
    assert child.process.pid != first


def test_the_pause_grows_while_a_child_keeps_failing_and_starts_over_when_it_ran(
    children: Children,
) -> None:
    """Doubling up to 10 s; a minute of running counts as steady."""
    child = children.add("failing", lambda _: 7)
    while not children.wait(30):
        pass
    pauses = [children.restart_later(child) for _ in range(8)]
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert pauses[-1] == 10.0
    child.started_s -= 61
    assert children.restart_later(child) == 0.2


def test_no_child_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    """SIGKILL gives it no chance to tell them."""
    told = tmp_path / "pid"
    program = (
        "import sys, time; from pathlib import Path; from gateway.children import Children\n"
        "children = Children()\n"
        "pids = [children.add(str(n), lambda link: link.stop.wait(60) and 0).process.pid"
        " for n in range(3)]\n"
        "Path(sys.argv[1]).write_text(' '.join(map(str, pids)))\n"
        "time.sleep(60)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program, str(told)])
    wait_until(lambda: told.exists() and len(told.read_text().split()) == 3)
    supervisor.kill()
    supervisor.wait()
    for pid in told.read_text().split():
        wait_until(lambda pid=pid: not _alive(int(pid)))  # type: ignore[misc]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
