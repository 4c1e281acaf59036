"""How the story is told: what a view gets to know. `plain.py` and `live.py` are the two views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.cli import units
from gateway.demo.hospital import Snapshot
from gateway.demo.modality import Modality
from quota.time import MICROSECONDS_PER_SECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What there is to look at while a step is under way."""

    devices: Sequence[Modality]
    look: Callable[[], Snapshot]


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What the demo did, in figures of the ledger."""

    examinations: int
    instances: int
    funded: int
    owed: int
    owed_most: int
    refused_examinations: int
    refused_instances: int
    missing: int
    instances_per_second: float
    seconds: float

    def rows(self) -> list[tuple[str, str]]:
        """Names and values."""
        count = units.count
        refused = f"{count(self.refused_examinations)} examinations"
        instances = f"{count(self.refused_instances)} instances"
        return [
            ("examinations", f"{count(self.examinations)} stored, each charged once"),
            ("instances", f"{count(self.instances)} stored"),
            ("funded", f"{count(self.funded)} examinations"),
            ("owed", f"{count(self.owed)} now, {count(self.owed_most)} before the top-up"),
            ("refused", f"{refused} ({instances}), {count(self.missing)} missing now"),
            ("speed", f"{self.instances_per_second:.0f} instances/s, devices in the same process"),
            ("time", f"{self.seconds:.1f} s"),
        ]


NEXT = (
    ("tollgate serve", "start a gateway of your own; its data goes to ./tollgate-data"),
    (
        "tollgate account create --help",
        "then institution create, device add, order place, order pay",
    ),
    ("tollgate account show ACCOUNT", "what is available, used and owed, at any time"),
)


class Teller(Protocol):
    """A view of the story."""

    interval_s: float
    """How often `watch` is to be called."""
    pause_s: float
    """How long a finished step is left to be read."""

    def open(self, steps: int) -> None:
        """The story begins."""

    def begin(self, number: int, title: str) -> None:
        """A step begins."""

    def watch(self, scene: Scene) -> None:
        """Time passes."""

    def end(self, sentence: str, scene: Scene) -> None:
        """The step came out as promised; `sentence` says what happened."""

    def close(self) -> None:
        """Nothing more is drawn. Called once, however the story ended."""

    def sum_up(self, summary: Summary) -> None:
        """The story is over and came out as promised."""

    def fail(self, reason: str) -> None:
        """The story broke off."""


def countdown(microseconds: int) -> str:
    """Time left as `23:59:12`, rounded down."""
    seconds = max(0, microseconds // MICROSECONDS_PER_SECOND)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
