"""What can keep the story from its end."""

from __future__ import annotations

import signal


class DemoError(Exception):
    """The demo did not come to its end."""


class Unmet(DemoError):
    """The gateway did not do what the story promises."""


class Stopped(DemoError):
    """Somebody asked the demo to end."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number
