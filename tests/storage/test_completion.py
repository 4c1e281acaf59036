"""Completion and bookkeeping: what the keeper does changes rows and no answer."""

from __future__ import annotations

import pytest

from storage import bookkeeping, examinations, reports
from storage.bookkeeping import due_meters
from storage.examinations import complete_quiet
from tests.quota.makers import DAY, HOUR
from tests.storage.hospital import QUIET, Instance, Site, examination_of, numbered
from tests.storage.kit import HandClock, admit, top_up


@pytest.fixture
def paid(site: Site, clock: HandClock) -> Site:
    """A hospital with twenty units."""
    top_up(site.ledger, site.account, "SO-1", 20)
    clock.at += HOUR
    return site


def complete(site: Site, *, limit: int = 100) -> list[str]:
    """One round of the keeper."""
    with site.ledger.begin() as work:
        done = complete_quiet(work, limit=limit)
        work.commit()
    return done


@pytest.mark.parametrize("offset, done", [(-1, 0), (0, 1), (1, 1)])
def test_an_examination_is_complete_at_the_end_of_its_quiet_period(
    *, paid: Site, clock: HandClock, offset: int, done: int
) -> None:
    """TIME-2: receiving for T < end, complete from the end on; the keeper agrees with reads."""
    paid.send(Instance(sop="1.1"))
    clock.at += QUIET + offset

    states = [row.state for row in paid.examinations()]

    assert states == ["complete" if done else "receiving"]
    assert len(complete(paid)) == done
    assert [row.state for row in paid.examinations()] == states


def test_a_keeper_that_did_not_run_changes_no_answer(paid: Site, clock: HandClock) -> None:
    """TIME-4: the same rows before and after, with the instant at which quiet came."""
    outcomes = paid.send_all(*numbered(2), Instance(sop="2.1", study="2.2"))
    clock.at += 10 * QUIET
    before = paid.examinations()

    done = complete(paid)

    assert set(done) == {examination_of(outcome) for outcome in outcomes}
    assert paid.examinations() == before
    assert complete(paid) == []


def test_rounds_are_bounded_and_the_longest_quiet_comes_first(paid: Site, clock: HandClock) -> None:
    """A limit on everything: a backlog is worked off in rounds."""
    expected = []
    for n in range(5):
        clock.at += 1
        expected.append(examination_of(paid.send(Instance(sop=f"{n}.1", study=f"{n}.0"))))
    clock.at += QUIET

    assert [sorted(complete(paid, limit=2)) for _ in range(3)] == [
        sorted(expected[:2]),
        sorted(expected[2:4]),
        expected[4:],
    ]


def test_a_late_instance_opens_a_complete_examination_again(paid: Site, clock: HandClock) -> None:
    """An examination that grows again is receiving again, until it is quiet."""
    one, two = numbered(2)
    paid.send(one)
    clock.at += QUIET
    complete(paid)

    clock.at += DAY
    paid.send(two)

    (row,) = paid.examinations()
    assert (row.state, row.completed_at) == ("receiving", None)
    clock.at += QUIET
    assert len(complete(paid)) == 1


def test_counts_tell_what_is_receiving_and_what_is_open(paid: Site, clock: HandClock) -> None:
    """For the metrics: examinations that are not quiet yet, entries of the register not closed.

    TIME-4: the keeper may be late, the gauge is not.
    """
    paid.send_all(*numbered(1), Instance(sop="2.1", study="2.2"))
    paid.register(*numbered(2, study="4.5"), at=clock.at)

    with paid.ledger.read() as view:
        assert reports.counts(view) == (2, 1)
    clock.at += QUIET + 1
    for _ in range(2):
        with paid.ledger.read() as view:
            assert reports.counts(view) == (0, 1)
        complete(paid)


@pytest.mark.parametrize("offset, due", [(-1, False), (0, True)])
def test_a_meter_is_due_from_a_packages_expiry_on(
    *, paid: Site, clock: HandClock, offset: int, due: bool
) -> None:
    """The keeper's work list: meters with an expiry that nobody has booked."""
    with paid.ledger.read() as view:
        (package,) = view.packages(paid.account.id)
    assert package.expires_at is not None
    clock.at = package.expires_at + offset

    with paid.ledger.read() as view:
        assert due_meters(view) == ([(paid.account.id, "exam")] if due else [])
    admit(paid.ledger, paid.account, "exam")
    with paid.ledger.read() as view:
        assert due_meters(view) == []


def test_modules_of_the_keeper_are_reads_and_marks_only() -> None:
    """Nothing here posts to the journal: neither module knows it."""
    for module in (bookkeeping, examinations):
        assert not hasattr(module, "Posting")
