"""`tollgate demo` as a user starts it: the whole story, and nothing left behind however it ends."""

from __future__ import annotations

import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from gateway.demo.errors import Unmet
from gateway.demo.images import FUNDUS, MR, Worklist, data_set
from gateway.demo.stage import expect
from gateway.demo.teller import countdown
from quota.time import MICROSECONDS_PER_SECOND

TOLLGATE = Path(sys.executable).parent / "tollgate"
WAIT_S = 240
ESCAPE = "\x1b"
STORY = (
    *("Send before anything was bought", "no quota was bought yet", "Pay for 1,000"),
    *("the account is LOW", "the account is EMPTY", "exactly 24 are owed"),
    *("now 25 are owed", "is SUSPENDED", "12 new examinations are refused", "24 h grace over"),
    *("never charged again", "25 of 1,000 more have paid off", "All 12 are stored"),
    *("checks hold: 1,037 examinations", "summary", "25 before the top-up", "0 missing now"),
    *("next", "tollgate serve"),
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Temporary files go below `tmp_path`; no settings of this machine."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOLLGATE_")}
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE"):
        clean.pop(name, None)
    # The command has no business in the data directory either.
    data_dir = str(tmp_path / "not-to-be-made")
    return clean | {"TMPDIR": str(tmp_path), "TOLLGATE_DATA_DIR": data_dir}


def told_in_order(text: str) -> None:
    """Every part of the story is there, one after the other; line breaks do not matter."""
    words = " ".join(text.split())
    at = 0
    for part in STORY:
        found = words.find(part, at)
        assert found >= 0, f"{part!r} is not told after {words[:at][-60:]!r}:\n{text}"
        at = found + len(part)


@pytest.mark.slow
@pytest.mark.timeout(WAIT_S)
def test_the_whole_story_is_told_line_by_line(tmp_path: Path, environment: dict[str, str]) -> None:
    """--plain: every step in order, no escape code, exit status 0, nothing left behind."""
    ran = subprocess.run(
        (TOLLGATE, "demo", "--plain"),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout + ran.stderr
    told_in_order(ran.stdout)
    assert [int(number) for number in re.findall(r"^\[ ?(\d+)/12\]", ran.stdout, re.MULTILINE)] == [
        *range(1, 13)
    ]
    assert ESCAPE not in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_story_that_does_not_come_true_ends_with_status_1(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A gateway that says something else than promised is told in one line, and tidied up."""
    program = (
        "import sys; from gateway.demo import run, story; "
        "story.TABLE = dict.fromkeys(story.TABLE, next(iter(reversed(story.TABLE.values())))); "
        "sys.exit(run(plain=True))"
    )
    ran = subprocess.run(
        (sys.executable, "-c", program),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (1, ""), ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("FAILED  the Error Comments should be ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(WAIT_S)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    """Ctrl-C while devices send: one line says so, no traceback, the directory is gone."""
    with subprocess.Popen(
        (TOLLGATE, "demo"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if "instances/s" in line:
                assert len(list(tmp_path.iterdir())) == 1
                process.send_signal(number)
                break
        told.extend(process.stdout)
        errors = process.stderr.read()
    assert (process.returncode, errors) == (128 + number, "")
    assert f"stopped by {number.name}" in told[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(WAIT_S)
def test_a_terminal_sees_a_picture_that_ends(tmp_path: Path, environment: dict[str, str]) -> None:
    """On a terminal the same story is drawn: badges, bars, the clock; the cursor comes back."""
    shown = on_terminal(environment | {"TERM": "xterm-256color"}, columns=100, rows=40)
    assert shown.endswith("exit status 0"), shown[-2000:]
    plain = re.sub(rf"{ESCAPE}\[[0-9;?]*[A-Za-z]", "", shown)
    told_in_order("".join(step for step in steps_told(plain)))
    for badge in ("UNPROVISIONED", "OK", "LOW", "EMPTY", "ARREARS", "SUSPENDED"):
        assert f" {badge} " in plain
    assert "湖滨医院" in plain
    assert "register of refusals: 12 open of 13" in plain
    assert shown.count(f"{ESCAPE}[?25l") == shown.count(f"{ESCAPE}[?25h") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(WAIT_S)
def test_ctrl_c_gives_the_terminal_back(tmp_path: Path, environment: dict[str, str]) -> None:
    """A key pressed during the picture: the cursor is shown again, and nothing is left behind."""
    environment |= {"TERM": "xterm-256color"}
    shown = on_terminal(environment, columns=80, rows=24, interrupt_at="instances/s")
    assert shown.endswith("exit status 130"), shown[-2000:]
    assert "stopped by SIGINT" in shown
    assert "Traceback" not in shown
    assert shown.rfind(f"{ESCAPE}[?25h") > shown.rfind(f"{ESCAPE}[?25l")
    assert list(tmp_path.iterdir()) == []


def on_terminal(
    environment: dict[str, str], *, columns: int, rows: int, interrupt_at: str | None = None
) -> str:
    """What `tollgate demo` writes to a terminal of that size, and its exit status at the end."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        (TOLLGATE, "demo"),
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    for part in _read(ours):
        shown += part
        if interrupt_at is not None and interrupt_at.encode() in shown:
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    status = process.wait(WAIT_S)
    os.close(ours)
    return f"{shown.decode()}exit status {status}"


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # how Linux says that the other side is closed
            return
        if not part:
            return
        yield part


def steps_told(plain: str) -> Iterator[str]:
    """Of all that was drawn, what stays: ticked steps with their sentences, and the end."""
    lines = plain.replace("\r", "").splitlines(keepends=True)
    keeping = False
    for line in lines:
        if "✓" in line or line.startswith(("summary", "next")):
            keeping = True
        elif "╭" in line or re.match(r" ?\d+/12 [^✓]", line):
            keeping = False
        if keeping:
            yield line


def test_a_clock_never_shows_more_time_than_is_left() -> None:
    """The countdown is rounded down, and stops at zero."""
    second = MICROSECONDS_PER_SECOND
    assert countdown(86_400 * second) == "24:00:00"
    assert countdown(86_400 * second - 1) == "23:59:59"
    assert countdown(0) == countdown(-5 * second) == "00:00:00"


def test_a_promise_that_is_not_met_breaks_the_story_off() -> None:
    """The demo checks itself: found and wanted are both named."""
    expect("what is owed", 25, 25)
    with pytest.raises(Unmet, match="what is owed should be 25, and is 24"):
        expect("what is owed", 24, 25)


def test_a_fundus_camera_gives_every_image_its_own_study() -> None:
    """Only accession number and patient hold the two eyes together."""
    [examination] = Worklist(FUNDUS, ae_title="FUNDUS1", study_date="20260102").take(1)
    left, right = (data_set(examination, image) for image in examination.images)
    assert left.StudyInstanceUID != right.StudyInstanceUID
    assert (left.AccessionNumber, left.PatientID) == (right.AccessionNumber, right.PatientID)
    assert (left.ImageLaterality, right.ImageLaterality) == ("L", "R")


def test_an_image_sent_again_is_the_same_image() -> None:
    """What was refused and comes again has the same UIDs and the same content."""
    [examination] = Worklist(MR, ae_title="MR1", study_date="20260102").take(1)
    [image] = examination.images
    assert data_set(examination, image) == data_set(examination, image)
