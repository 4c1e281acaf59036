"""What is sent, by how many associations, by which sender; and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

KB, MB, GB = 10**3, 10**6, 10**9


class Sender(StrEnum):
    """Who sends: DCMTK's storescu, one process an association, or our bare sender."""

    DCMTK = "dcmtk"
    BARE = "bare"
    """Encoded beforehand, so that the receiver is what is measured; it times every answer."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A sort of instance; `edge` is rows and columns of 16-bit pixels."""

    name: str
    edge: int
    frames: int = 1
    colour: bool = False

    @property
    def pixel_bytes(self) -> int:
        """Size of the pixel data."""
        return self.edge * self.edge * self.frames * (3 if self.colour else 2)


MR = Kind(name="MR", edge=128)
CT = Kind(name="CT", edge=512)
FUNDUS = Kind(name="fundus", edge=2580, colour=True)
MULTI_FRAME = Kind(name="1 GB", edge=1024, frames=477)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One measurement, the same for every receiver."""

    kind: Kind
    associations: int
    instances: int
    sender: Sender = Sender.DCMTK
    nagle: bool = False

    @property
    def title(self) -> str:
        """As the table names it."""
        nagle = ", Nagle on" if self.nagle else ""
        return f"{self.kind.name} × {self.associations}, {self.sender} sender{nagle}"

    @property
    def data(self) -> tuple[str, int, int]:
        """Scenarios of equal data share the files."""
        return self.kind.name, self.associations, self.instances


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one round came to; seconds are of the wall unless said otherwise."""

    answered_s: float
    filed_s: float
    sent_bytes: int
    instances: int
    cpu_s: float
    peak_rss_bytes: int
    """The largest sum over all of the receiver's processes."""
    largest_process_bytes: int
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def answered_per_s(self) -> float:
        """Instances per second until the last answer."""
        return self.instances / self.answered_s

    @property
    def filed_per_s(self) -> float:
        """Instances per second until the last one was where it can be looked up."""
        return self.instances / self.filed_s

    @property
    def cpu_s_per_gb(self) -> float:
        """Processor time of the receiver per GB sent."""
        return self.cpu_s / (self.sent_bytes / GB)


def scenarios(*, scale: float) -> list[Scenario]:
    """What the issue of the intake asks for; `scale` makes all of it shorter."""

    def some(count: int, associations: int) -> int:
        return max(associations, round(count * scale) // associations * associations)

    listed = [
        Scenario(kind=kind, associations=n, instances=some(count, n), sender=sender)
        for kind, n, count in ((MR, 1, 2000), (MR, 4, 4000), (MR, 16, 4000))
        for sender in Sender
    ]
    listed += [
        Scenario(kind=kind, associations=n, instances=some(count, n), sender=sender)
        for kind, n, count in ((CT, 1, 600), (CT, 4, 1000), (CT, 16, 1008))
        for sender in Sender
    ]
    # A hundred would be over in less time than the sender itself takes to start.
    listed += [
        Scenario(kind=kind, associations=1, instances=some(400, 1), nagle=True) for kind in (MR, CT)
    ]
    listed += [
        Scenario(kind=FUNDUS, associations=n, instances=some(count, n))
        for n, count in ((1, 16), (4, 24), (16, 32))
    ]
    listed.append(Scenario(kind=MULTI_FRAME, associations=1, instances=1))
    return listed
