"""The story line by line, without an escape code: for pipes, logs and `--plain`."""

from __future__ import annotations

import sys
import time
from textwrap import wrap

from gateway.cli import units
from gateway.demo.hospital import Snapshot
from gateway.demo.teller import NEXT, Scene, Summary, countdown

_INDENT = " " * 8
_WIDTH = 100
_PROGRESS_INTERVAL_S = 1.0


class PlainTeller:
    """Writes to standard output; a line of progress at most every second."""

    interval_s = 0.05
    pause_s = 0.0

    def __init__(self) -> None:
        self._steps = 0
        self._began_s = time.monotonic()
        self._told_s = self._began_s

    def open(self, steps: int) -> None:
        """Say what is to come."""
        self._steps = steps
        _say("tollgate demo: a real gateway, real DICOM associations, simulated devices")

    def begin(self, number: int, title: str) -> None:
        """Print the step's title with the time so far."""
        seconds = time.monotonic() - self._began_s
        _say(f"[{number:2}/{self._steps}] {title}  ({seconds:.1f} s)")
        self._told_s = time.monotonic()

    def watch(self, scene: Scene) -> None:
        """Print a line of progress if there was none for a second."""
        now_s = time.monotonic()
        if now_s - self._told_s < _PROGRESS_INTERVAL_S:
            return
        self._told_s = now_s
        _tell(f"{_sent(scene)}{_standing(scene.look())}")

    def end(self, sentence: str, scene: Scene) -> None:
        """Print what happened, and how the account stands."""
        _tell(sentence, mark="     ok ")
        _tell(_standing(scene.look()))

    def close(self) -> None:
        """Nothing is held."""

    def sum_up(self, summary: Summary) -> None:
        """Print the figures, and what to do next."""
        _say("\nsummary")
        for name, value in summary.rows():
            _say(f"  {name:<14}{value}")
        _say("\nnext")
        for command, meaning in NEXT:
            _say(f"  {command:<32}{meaning}")

    def fail(self, reason: str) -> None:
        """Say why the story broke off."""
        _say(f"FAILED  {reason}")


def _sent(scene: Scene) -> str:
    if not any(device.sending for device in scene.devices):
        return ""
    batches = [device.batch for device in scene.devices]
    done = units.count(sum(batch.examinations_done for batch in batches))
    planned = units.count(sum(batch.examinations for batch in batches))
    speed = sum(batch.answered for batch in batches) / max(b.elapsed_s for b in batches)
    return f"{done} of {planned} sent, {speed:.0f} instances/s; "


def _tell(text: str, *, mark: str = _INDENT) -> None:
    for line in wrap(text, _WIDTH, initial_indent=mark, subsequent_indent=_INDENT):
        _say(line)


def _standing(snapshot: Snapshot) -> str:
    reading = snapshot.reading
    meter = reading.meter
    parts = [
        f"account {reading.status}: available {units.count(meter.available)}",
        f"used {units.count(meter.used)}",
        f"owed {units.count(meter.owed)}",
    ]
    if meter.episode is not None:
        parts.append(f"time left {countdown(meter.episode.deadline - reading.at)}")
    if snapshot.open_refusals:
        parts.append(f"open refusals {units.count(snapshot.open_refusals)}")
    return ", ".join(parts)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
