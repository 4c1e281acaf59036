"""A clock that leaps books nothing, in no process, until somebody has looked at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.lookout import Lookout
from storage import clock_guard
from storage.clock_guard import ABSENCE_MAX, LEAP_MAX, ClockGuard, ClockHeld
from storage.ledger import SqlLedger
from tests.storage.hospital import Site
from tests.storage.kit import HandClock, add_account


class Machine:
    """Seconds since its start, set by hand beside the ledger's clock."""

    def __init__(self, ledger: SqlLedger, clock: HandClock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.seconds = 0.0

    def process(self) -> SqlLedger:
        """The ledger as a process has it that starts now."""
        guard = ClockGuard(boot_s=lambda: self.seconds)
        return SqlLedger(self.ledger.database, self.clock, guard=guard)

    def passes(self, microseconds: int) -> None:
        """Time passes, as it should."""
        self.seconds += microseconds / 1_000_000
        self.clock.at += microseconds


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def machine(request: pytest.FixtureRequest, clock: HandClock) -> Machine:
    """Either database."""
    return Machine(request.getfixturevalue(request.param), clock)


def beat(ledger: SqlLedger) -> None:
    """What the keeper does every ten seconds."""
    with ledger.begin() as work:
        clock_guard.beat(work)
        work.commit()


def confirm(ledger: SqlLedger) -> None:
    """What an operator does."""
    with ledger.unguarded().begin() as work:
        clock_guard.confirm(work)
        work.commit()


def test_time_that_passes_is_no_leap(machine: Machine) -> None:
    """However long nothing was asked; five minutes of slip are forgiven."""
    ledger = machine.process()
    beat(ledger)
    machine.passes(90 * 86_400_000_000)
    beat(ledger)
    machine.clock.at += LEAP_MAX
    beat(ledger)


def test_a_leap_holds_every_process_until_it_is_confirmed(machine: Machine) -> None:
    """The one that sees it, one that has not looked yet, and one that starts meanwhile."""
    seeing, idle = machine.process(), machine.process()
    beat(seeing)
    beat(idle)
    machine.clock.at += LEAP_MAX + 1
    for ledger in (seeing, idle, machine.process(), seeing):
        with pytest.raises(ClockHeld), ledger.begin():
            pass
    with machine.ledger.read() as view:
        assert clock_guard.state(view.connection).held_at == machine.clock.at

    confirm(seeing)
    machine.passes(1_000_000)
    for ledger in (seeing, idle, machine.process()):
        beat(ledger)


def test_one_that_did_not_look_while_it_was_held_goes_on_by_the_confirmation(
    machine: Machine,
) -> None:
    """Otherwise it would hold the clock again for a leap that somebody has looked at."""
    seeing, idle = machine.process(), machine.process()
    beat(idle)
    beat(seeing)
    machine.clock.at += LEAP_MAX + 1
    with pytest.raises(ClockHeld), seeing.begin():
        pass
    confirm(seeing)
    beat(idle)


def test_a_clock_that_is_set_back_needs_a_confirmation_too(machine: Machine) -> None:
    """Nobody knows by itself which of the two was right."""
    ledger = machine.process()
    beat(ledger)
    machine.clock.at += LEAP_MAX + 1
    with pytest.raises(ClockHeld), ledger.begin():
        pass
    machine.clock.at -= LEAP_MAX + 1
    with pytest.raises(ClockHeld), ledger.begin():
        pass


@pytest.mark.parametrize(("away", "held"), [(ABSENCE_MAX, False), (ABSENCE_MAX + 1, True)])
def test_a_month_without_the_keeper_is_held_at_the_start(
    machine: Machine, away: int, *, held: bool
) -> None:
    """A machine whose battery died starts in another year; 30 days sharp are forgiven."""
    beat(machine.process())
    machine.passes(away)
    ledger = machine.process()
    if held:
        with pytest.raises(ClockHeld), ledger.begin():
            pass
    else:
        beat(ledger)


def test_the_first_start_knows_no_heartbeat(machine: Machine) -> None:
    """A new ledger, and one that was upgraded, begin without a question."""
    with machine.process().begin():
        pass


def test_no_snapshot_is_taken_by_a_clock_that_is_held(machine: Machine, tmp_path: Path) -> None:
    """Its standings would be those of another day."""
    ledger = machine.process()
    Site(ledger, add_account(ledger), tmp_path / "archive")
    lookout = Lookout(ledger, tmp_path / "snapshot.json", failed=lambda _: None)
    lookout.look()
    before = (tmp_path / "snapshot.json").read_bytes()
    machine.clock.at += LEAP_MAX + 1
    with pytest.raises(ClockHeld), ledger.begin():
        pass
    with pytest.raises(ClockHeld):
        lookout.look()
    assert (tmp_path / "snapshot.json").read_bytes() == before
