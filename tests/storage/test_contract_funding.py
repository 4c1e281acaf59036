"""What bears on an admission is told in one answer, the same as its parts, on each store."""

from __future__ import annotations

import pytest

from quota.account import EXAM, Account
from quota.ports import Funding, Ledger
from quota.service import Admitted
from storage.ledger import SqlLedger
from tests.quota.makers import DAY
from tests.storage.hospital import Instance, Site
from tests.storage.kit import HandClock, add_account, admit, dump, top_up
from tests.storage.test_rollback import fail_everywhere


def asked(ledger: Ledger, account: Account, examination_id: str, *, at: int) -> Funding:
    """The store's answer; it equals what the single questions are answered."""
    with ledger.begin() as work:
        meter, _ = work.lock_meter(account.id, EXAM)
        funding = work.funding(meter.id, examination_id, at)
        due = work.due_packages(meter.id, at)
        assert sorted(funding.due, key=lambda package: package.burn_key) == list(due)
        assert [funding.head][: funding.head is not None] == list(
            work.burn_head(meter.id, at, limit=1)
        )
        assert funding.charge == work.charge(examination_id)
        paid_by = None if funding.charge is None else funding.charge.package_id
        assert funding.payer == (None if paid_by is None else work.package(paid_by))
    return funding


def test_nothing_bears_on_an_account_that_bought_nothing(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """No package, no charge."""
    found = asked(ledger, account, "exam", at=clock.at)

    assert (list(found.due), found.head, found.charge, found.payer) == ([], None, None, None)


def test_the_first_to_expire_funds_a_newcomer(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """BURN: the head, one package; others do not show."""
    top_up(ledger, account, "early", 5)
    clock.at += DAY
    top_up(ledger, account, "late", 5)
    with ledger.read() as view:
        early, late = view.packages(account.id)
    assert early.expires_at is not None

    assert asked(ledger, account, "exam", at=clock.at + 9).head == early
    lapsed = asked(ledger, account, "exam", at=early.expires_at)

    assert (lapsed.head, list(lapsed.due)) == (late, [early])


@pytest.mark.parametrize("units", [0, 1])
def test_an_earlier_charge_is_told_with_what_paid_it(
    ledger: Ledger, account: Account, clock: HandClock, units: int
) -> None:
    """§9: the same examination again is answered as the first time, funded or owed."""
    top_up(ledger, account, "SO-1", 1)
    admit(ledger, account, "uses the first unit")
    if units:
        top_up(ledger, account, "SO-2", units)
    first = admit(ledger, account, "exam")
    assert isinstance(first, Admitted)

    found = asked(ledger, account, "exam", at=clock.at + 9)

    assert found.charge == first.charge
    assert (found.payer is None) is (units == 0)
    before = found
    assert admit(ledger, account, "exam") == first
    assert asked(ledger, account, "exam", at=clock.at + 9) == before


def test_another_accounts_packages_fund_nobody_here(
    ledger: Ledger, account: Account, clock: HandClock
) -> None:
    """STATE-5: meters are independent of one another."""
    with ledger.begin() as work:
        other = work.add_account(
            name="South", plan=account.plan, agreement_no="AG-2", timezone="UTC"
        )
        work.commit()
    assert other is not None
    top_up(ledger, other, "SO-1", 5)

    assert asked(ledger, account, "exam", at=clock.at + 9).head is None


@pytest.mark.slow
@pytest.mark.parametrize("units", [1, 5])
def test_a_charge_is_recorded_whole_or_not_at_all(site: Site, units: int) -> None:
    """With a unit to spare, or with the last one: the level's notice is of the same transaction."""
    top_up(site.ledger, site.account, "SO-1", units)

    assert fail_everywhere(site.ledger, lambda: site.admit(Instance(sop="1.1"))) > 8


def test_a_charge_writes_the_same_rows_on_both_databases(
    sqlite: SqlLedger, postgresql: SqlLedger
) -> None:
    """One statement on PostgreSQL, five on SQLite: posting, entries, package, charge, meter."""
    written = []
    for ledger in (sqlite, postgresql):
        account = add_account(ledger)
        top_up(ledger, account, "SO-1", 1)
        for name in ("funded", "owed"):
            admit(ledger, account, name)
        written.append(dump(ledger))

    assert written[0] == written[1]
