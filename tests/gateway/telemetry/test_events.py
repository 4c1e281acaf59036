"""Events and their metrics: what is noted on the lane is told soon."""

from __future__ import annotations

from gateway.dicom.status import STORED
from gateway.telemetry.events import Events
from gateway.telemetry.metrics import Metrics
from tests.gateway.dicom.support import ACCEPTED


def _answered() -> Events:
    """Events that were told of one answered store within an association."""
    events = Events(Metrics(version="1", refusal_reasons=()))
    events.association_accepted(ACCEPTED)
    events.store_answered(ACCEPTED, STORED, size_bytes=1, seconds=0.002)
    return events


def _durations(events: Events) -> float | None:
    return events.metrics.registry.get_sample_value("tollgate_store_duration_seconds_count")


def test_the_end_of_an_association_writes_its_durations() -> None:
    """So a worker that has drained has told all."""
    events = _answered()
    events.association_ended(ACCEPTED, released=False)
    assert _durations(events) == 1


def test_the_durations_of_an_association_that_stays_come_with_the_beat() -> None:
    """An association may stay open for days."""
    events = _answered()
    events.spools_looked_at([], now=0)
    assert _durations(events) == 1
