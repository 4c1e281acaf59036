"""The book under any sequence of operations: what holds always (§3, §6, §12)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from quota.ledger import GRACE
from quota.package import Package
from tests.quota.makers import DAY, HOUR, NOON
from tests.quota.shelf import Shelf


@dataclass(frozen=True)
class Charge:
    """One examination."""


@dataclass(frozen=True)
class Credit:
    """A top-up whose package expires `lasts` after now, or never."""

    quantity: int
    lasts: int | None


@dataclass(frozen=True)
class Wait:
    """Time passes, or the clock is set back."""

    time: int


Step: TypeAlias = Charge | Credit | Wait
SPANS = [0, 1, HOUR, DAY - 1, DAY, DAY + 1, GRACE]
STEPS = st.lists(
    st.one_of(
        st.builds(Charge),
        st.builds(
            Credit,
            quantity=st.integers(1, 4),
            lasts=st.one_of(st.none(), st.sampled_from([-1, *SPANS])),
        ),
        st.builds(Wait, time=st.sampled_from([-HOUR, *SPANS])),
    ),
    max_size=40,
)


def run(steps: list[Step]) -> list[Shelf]:
    """The shelf as it stood before the first step and after each."""
    shelf, now = Shelf(), NOON
    history = [_snapshot(shelf)]
    for n, step in enumerate(steps):
        match step:
            case Charge():
                shelf.charge(f"exam-{n}", at=now)
            case Credit(quantity=quantity, lasts=lasts):
                expires_at = None if lasts is None else now + lasts
                shelf.credit(quantity, at=now, expires_at=expires_at)
            case Wait(time=time):
                now += time
                shelf.record(shelf.open(now))
        history.append(_snapshot(shelf))
    return history


def _snapshot(shelf: Shelf) -> Shelf:
    return replace(
        shelf,
        packages=dict(shelf.packages),
        journal=list(shelf.journal),
        charges=dict(shelf.charges),
        opened=list(shelf.opened),
        closed=list(shelf.closed),
    )


@given(STEPS)
def test_units_are_conserved_per_account_and_per_package(steps: list[Step]) -> None:
    """§11 and invariant 6: purchased = used + held + expired + voided + available, always."""
    for shelf in run(steps):
        meter = shelf.meter
        packages = shelf.packages.values()
        assert meter.purchased == sum(package.quantity for package in packages)
        assert meter.available == sum(package.remaining for package in packages)
        assert meter.purchased == meter.used + meter.expired + meter.available
        assert meter.used == sum(funder is not None for funder in shelf.charges.values())
        assert meter.owed == sum(funder is None for funder in shelf.charges.values())
        assert all(0 <= package.remaining <= package.quantity for package in packages)


@given(STEPS)
def test_every_posting_sums_to_zero_and_time_goes_forward(steps: list[Step]) -> None:
    """Invariants 1 and 16: whatever the clock does."""
    journal = run(steps)[-1].journal
    booked = [posting.effective_at for posting in journal]
    recorded = [posting.recorded_at for posting in journal]

    assert all(sum(entry.amount for entry in posting.entries) == 0 for posting in journal)
    assert booked == sorted(booked)
    assert recorded == sorted(recorded)


@given(STEPS)
def test_nothing_is_ever_available_and_owed_together(steps: list[Step]) -> None:
    """Invariant 4: a unit that is there is used, one that is missing is owed."""
    for shelf in run(steps):
        assert shelf.meter.available == 0 or shelf.meter.owed == 0


@given(STEPS)
def test_an_episode_lasts_exactly_while_something_is_owed(steps: list[Step]) -> None:
    """Invariant 9, STATE-1: it starts where owed leaves 0, and nothing moves its deadline."""
    history = run(steps)
    for before, after in pairwise(history):
        episode = after.meter.episode
        assert (episode is not None) == (after.meter.owed > 0)
        assert len(after.opened) - len(after.closed) == (episode is not None)
        if episode is not None and before.meter.episode is not None:
            assert episode == before.meter.episode
        if episode is not None and before.meter.episode is None:
            assert episode.started_at == after.meter.last_at
            assert episode.deadline == after.meter.last_at + 86_400_000_000


@given(STEPS)
def test_the_oldest_examinations_are_the_funded_ones(steps: list[Step]) -> None:
    """§3, offset: whoever is owed came after everybody who is funded out of one episode."""
    for shelf in run(steps):
        funders = list(shelf.charges.values())
        assert None not in funders or all(
            funder is None for funder in funders[funders.index(None) :]
        )


@given(STEPS)
def test_a_package_is_burned_before_every_later_one(steps: list[Step]) -> None:
    """BURN, invariant 7: a charge leaves no better package with units behind."""
    history = run(steps)
    for before, after in pairwise(history):
        new = set(after.charges) - set(before.charges)
        for funder in (after.charges[name] for name in new):
            at = after.meter.last_at
            usable = [package for package in before.packages.values() if _usable(package, at)]
            best = min(usable, key=_when, default=None)
            assert funder == (None if best is None else best.id)


def _usable(package: Package, at: int) -> bool:
    return package.remaining > 0 and (package.expires_at is None or at < package.expires_at)


def _when(package: Package) -> tuple[float, int]:
    never = float("inf")
    return (never if package.expires_at is None else package.expires_at, package.id)


@given(STEPS)
def test_what_has_expired_has_nothing_left(steps: list[Step]) -> None:
    """Invariant 23, judged as of the meter's last T."""
    for shelf in run(steps):
        for package in shelf.packages.values():
            if package.expired(shelf.meter.last_at):
                assert package.remaining == 0
                assert package.ended_at is not None
