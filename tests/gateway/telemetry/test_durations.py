"""Durations reach their histogram: all of them, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from prometheus_client import CollectorRegistry, Histogram

from gateway.telemetry.durations import NOTED_MAX, Durations


def _made() -> tuple[Durations, CollectorRegistry]:
    registry = CollectorRegistry()
    return Durations(Histogram("h", "For a test.", buckets=(1, 2), registry=registry)), registry


def _count(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("h_count")


def test_what_was_noted_is_in_its_bucket_after_a_write() -> None:
    """Each as long as it was, though they are written together."""
    durations, registry = _made()
    durations.note(0.5)
    durations.note(1.5)
    durations.write()
    assert registry.get_sample_value("h_bucket", {"le": "1.0"}) == 1
    assert registry.get_sample_value("h_bucket", {"le": "2.0"}) == 2
    assert registry.get_sample_value("h_sum") == 2.0


def test_a_second_write_adds_nothing() -> None:
    """What is written is not kept."""
    durations, registry = _made()
    durations.note(0.5)
    durations.write()
    durations.write()
    assert _count(registry) == 1


def test_many_are_written_by_whoever_notes_one_more() -> None:
    """What waits is bounded, even if nobody ever asks for a write."""
    durations, registry = _made()
    for _ in range(NOTED_MAX):
        durations.note(0.5)
    assert _count(registry) == NOTED_MAX


def test_threads_that_note_and_write_at_once_lose_and_double_nothing() -> None:
    """Many lanes note, and a beat writes, without a lock."""
    durations, registry = _made()

    def lane(_: int) -> None:
        for number in range(2_000):
            durations.note(0.5)
            if number % 7 == 0:
                durations.write()

    with ThreadPoolExecutor(8) as lanes:
        list(lanes.map(lane, range(8)))
    durations.write()
    assert _count(registry) == 16_000
