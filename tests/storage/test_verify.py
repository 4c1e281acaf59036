"""The verification: silent on a sound database, and each check fails where it should (§12).

Every corruption is made consistent in all other respects, so that exactly one check can see it.
"""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import text

from quota.ledger import GRACE
from storage.verify import (
    BURN_ORDER,
    EPISODES,
    INVARIANTS,
    JOURNAL_GROWS,
    OBJECTS,
    RETENTIONS,
    SHOWN_MAX,
    verify,
)
from tests.storage.corruptions import CORRUPTIONS, Corruption, lone_examinations
from tests.storage.kit import (
    HandClock,
    credit,
    dump,
    failed,
    pay,
    verified,
)
from tests.storage.past import YEAR, Copy


def test_a_sound_database_passes_every_check(copy: Copy) -> None:
    """The hospital's past holds lapses, arrears, an offset and a conflict; all of it is lawful."""
    report = verified(copy.ledger, archive_root=copy.archive_root)

    assert report.ok
    assert report.violations == ()
    assert {check.number for check in report.checks} == {*range(1, 22), 23}
    assert len({check.name for check in report.checks}) == len(report.checks)


def test_what_is_due_and_not_booked_breaks_nothing(copy: Copy, clock: HandClock) -> None:
    """9 and 23 are judged as of each meter's last T: a sweeper may be late."""
    with copy.ledger.read() as view:
        last_at = view.connection.execute(text("SELECT max(last_at) FROM meters")).scalar_one()
    clock.at = last_at + 1
    pay(copy.ledger, "SO-4")
    credit(copy.ledger, "SO-4")

    clock.at += 5 * YEAR

    assert copy.failing() == set()


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda corruption: corruption.name)
def test_each_check_sees_what_only_it_can_see(copy: Copy, corruption: Corruption) -> None:
    """Exactly the check that speaks of it fails, and no other hides behind it."""
    copy.corrupt(*corruption.statements)

    assert copy.failing() == {corruption.number}


def test_no_check_goes_untried() -> None:
    """A check that nobody has seen fail proves nothing: each number has its corruption."""
    tried = {corruption.number for corruption in CORRUPTIONS} | {OBJECTS.number}

    others = {OBJECTS, BURN_ORDER, EPISODES, JOURNAL_GROWS, RETENTIONS}
    assert tried == {check.number for check in others | {known.check for known in INVARIANTS}}


def test_units_left_in_an_expired_package_are_seen(copy: Copy, clock: HandClock) -> None:
    """23: as soon as a transaction on the meter came after the expiry."""
    clock.at = 1_805_000_000_000_000
    pay(copy.ledger, "SO-4")
    credit(copy.ledger, "SO-4")

    copy.corrupt(
        "UPDATE packages SET expires_at = credited_at + 5 WHERE id = 4",
        "UPDATE meters SET last_at = last_at + 10",
    )

    assert copy.failing() == {23}


def test_a_cached_balance_that_is_off_is_seen_twice(copy: Copy) -> None:
    """2 and 6 look at the same balance from two sides: the journal, and what became of it."""
    copy.corrupt("UPDATE packages SET remaining = 1 WHERE id = 2")

    assert copy.failing() == {2, 6, 23}


@pytest.mark.parametrize("folder", ["objects", "quarantine"])
@pytest.mark.parametrize("damage", ["gone", "shorter", "longer", "a folder"])
def test_an_object_that_is_not_as_recorded_is_seen(copy: Copy, folder: str, damage: str) -> None:
    """13: each row's object exists, is a file and has its size; set-aside ones as well."""
    path = next((copy.archive_root / folder).rglob("*.dcm"))
    match damage:
        case "gone":
            path.unlink()
        case "shorter":
            path.write_bytes(path.read_bytes()[:-1])
        case "longer":
            path.write_bytes(path.read_bytes() + b"\0")
        case _:
            path.unlink()
            path.mkdir()

    report = verified(copy.ledger, archive_root=copy.archive_root)

    assert failed(report) == {13}
    (violation,) = report.violations
    assert violation.count == 1
    assert violation.rows[0]["object_key"] == str(path.relative_to(copy.archive_root))


def test_without_an_archive_objects_are_not_checked(copy: Copy) -> None:
    """A check that did not run is not in the report: silence is no success."""
    shutil.rmtree(copy.archive_root)

    report = verified(copy.ledger, archive_root=None)

    assert report.ok
    assert OBJECTS not in report.checks


def test_of_many_violations_all_are_counted_and_some_are_shown(copy: Copy) -> None:
    """A broken table does not flood the operator: 20 rows and the count."""
    copy.corrupt(lone_examinations(25))

    (violation,) = verified(copy.ledger).violations

    assert violation.count == 25
    assert len(violation.rows) == SHOWN_MAX == 20
    assert violation.rows[0]["charges"] == 0


def test_a_violation_names_ids_and_amounts_only(copy: Copy) -> None:
    """No patient data in a report, for it goes into logs: every column is on this list."""
    allowed = {
        *("account_id", "as_of", "balance", "better_package_id", "bytes", "charge_id", "charges"),
        *("credits", "deadline", "examination_id", "instance_bytes", "instance_rows", "instances"),
        *("journal", "line_no", "meter_id", "order_id", "order_line_id", "package_id", "packages"),
        *("posting_id", "quantity", "remaining", "started_at", "total"),
        *("moved_bytes", "stored", "episode_id", "move_id", "hold_id"),
        *("licence_id", "other_licence_id"),
    }
    with copy.ledger.read() as view:
        for known in INVARIANTS:
            parameters = {"grace": GRACE} if ":grace" in known.sql else {}
            assert set(view.connection.execute(text(known.sql), parameters).keys()) <= allowed


def test_verifying_reads_one_snapshot_and_writes_nothing(copy: Copy) -> None:
    """What is corrupted while it runs is the next run's finding; nothing is repaired silently."""
    before = dump(copy.ledger)
    with copy.ledger.read() as view:
        assert verify(view, archive=None).ok
        copy.corrupt("UPDATE meters SET expired = expired + 1, voided = -1")
        view.connection.exec_driver_sql("PRAGMA query_only = ON")
        assert verify(view, archive=None).ok
        view.connection.exec_driver_sql("PRAGMA query_only = OFF")

    assert copy.failing() == {2}
    assert dump(copy.ledger) != before
    copy.corrupt("UPDATE meters SET expired = expired - 1, voided = 0")
    assert dump(copy.ledger) == before
