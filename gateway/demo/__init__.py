"""`tollgate demo`: an account runs out of quota and recovers while one watches.

A real gateway in a temporary directory, real DICOM associations; only the devices are simulated,
and only the demo's own clock moves. It checks itself, and leaves nothing behind.
"""

from __future__ import annotations

import io
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from config import Settings, load_settings
from gateway.demo.clock import MovableClock
from gateway.demo.errors import Stopped, Unmet
from gateway.demo.gateway import Gateway
from gateway.demo.live import LiveTeller, can_draw
from gateway.demo.plain import PlainTeller
from gateway.demo.stage import Stage, Stopping
from gateway.demo.story import Story
from gateway.demo.teller import Teller
from gateway.telemetry import log

__all__ = ["run"]

_FAILED = 1
_SIGNALLED = 128
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(*, plain: bool) -> int:
    """Tell the story; returns the exit status.

    0 if everything came out as promised, 1 if not, 128 + the signal's number where one ended it.
    """
    stopping = Stopping()
    teller: Teller = PlainTeller() if plain or not can_draw() else LiveTeller()
    with _signals_noted(stopping), _errors_kept() as errors:
        status = _status(teller, stopping)
        if (logged := errors.getvalue()) and status in {0, _FAILED}:
            teller.fail("errors were logged, see standard error")
            sys.stderr.write(logged)
            status = _FAILED
    return status


def _status(teller: Teller, stopping: Stopping) -> int:
    try:
        _tell(teller, stopping)
    except Unmet as unmet:
        teller.fail(str(unmet))
        return _FAILED
    except Stopped as stopped:
        # What devices and gateway say while they are being cut off is no news.
        teller.fail(f"{stopped}; nothing is left behind")
        return _SIGNALLED + stopped.signal_number
    return 0


def _tell(teller: Teller, stopping: Stopping) -> None:
    """Tell all of it; whatever happens, the gateway and its directory are gone at the end."""
    clock = MovableClock()
    stage = Stage(teller=teller, stopping=stopping, clock=clock)
    with tempfile.TemporaryDirectory(prefix="tollgate-demo-") as folder:
        data_dir = Path(folder) / "data"
        gateway = Gateway(_settings(data_dir), clock=clock)
        gateway.start()
        try:
            story = Story(stage, gateway, data_dir=data_dir)
            _play(story, stage, teller)
            summary = story.summary()
        finally:
            stage.strike()
            gateway.drain()
    teller.sum_up(summary)


def _play(story: Story, stage: Stage, teller: Teller) -> None:
    """One step after the other."""
    steps = story.steps()
    teller.open(len(steps))
    try:
        for number, (title, act) in enumerate(steps, start=1):
            teller.begin(number, title)
            teller.end(act(), stage.scene)
            stage.rest()
    finally:
        teller.close()


def _settings(data_dir: Path) -> Settings:
    """Of nobody's environment: whatever is set on this machine does not reach the demo."""
    overrides: dict[str, object] = {
        "data_dir": str(data_dir),
        "dicom.host": "127.0.0.1",
        "dicom.port": 0,
        "http.host": "127.0.0.1",
        "http.port": 0,
        "archive.free_bytes_min": 0,
        # A temporary directory may be in memory: nothing of the demo is to be kept.
        "spool.any_file_system": True,
        "shutdown.drain_timeout_s": 2.0,
    }
    return load_settings(environ={}, overrides=overrides)


@contextmanager
def _signals_noted(stopping: Stopping) -> Iterator[None]:
    """Signals are noted and acted on between two pictures: then tidying up is never cut short."""

    def note(number: int, _frame: FrameType | None) -> None:
        stopping.ask(number)

    kept = {}
    for number in _SIGNALS:
        # Ignored before us (nohup, a shell's background job) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            kept[number] = signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def _errors_kept() -> Iterator[io.StringIO]:
    """The gateway's errors go into memory: on the terminal they would run into the view."""
    hooks = sys.excepthook, threading.excepthook
    errors = io.StringIO()
    log.configure(level="error", console=True, stream=errors)
    try:
        yield errors
    finally:
        # A fault of the demo itself is to be seen with its traceback: there are no patients here.
        sys.excepthook, threading.excepthook = hooks
