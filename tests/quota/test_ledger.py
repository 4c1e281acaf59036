"""The journal's values: a posting sums to zero, and a balance moves by postings alone (§3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.ledger import Entry, LedgerAccount, Posting, PostingKind, apply
from tests.quota.makers import NOON, a_meter


def a_posting(*entries: Entry, effective_at: int = NOON, recorded_at: int = NOON) -> Posting:
    """A posting of those entries."""
    return Posting(
        kind=PostingKind.CREDIT,
        effective_at=effective_at,
        recorded_at=recorded_at,
        entries=entries,
    )


def test_a_posting_that_does_not_sum_to_zero_cannot_be_made() -> None:
    """§3: double entry is a property of the value, not of the code that makes it."""
    with pytest.raises(AssertionError, match="sums to zero"):
        a_posting(Entry(account=LedgerAccount.CONSUMED, amount=1))


def test_nothing_is_booked_in_the_future() -> None:
    """TIME-3: effects are booked at their boundary, recorded at T, never the other way round."""
    with pytest.raises(AssertionError, match="future"):
        a_posting(effective_at=NOON + 1, recorded_at=NOON)


def test_an_entry_moves_something() -> None:
    """An entry of nothing says nothing."""
    with pytest.raises(AssertionError, match="moves something"):
        Entry(account=LedgerAccount.CONSUMED, amount=0)


@pytest.mark.parametrize("account", [LedgerAccount.PACKAGE, LedgerAccount.HELD])
def test_an_entry_of_a_package_names_it(account: LedgerAccount) -> None:
    """PACKAGE:p is an account of its own per package, and held units return to theirs."""
    with pytest.raises(AssertionError):
        Entry(account=account, amount=1)


@pytest.mark.parametrize("account", ["issued", "consumed", "arrears", "written_off"])
def test_an_entry_that_concerns_no_package_names_none(account: str) -> None:
    """What was consumed or is owed is nobody's package's."""
    with pytest.raises(AssertionError):
        Entry(account=LedgerAccount(account), amount=1, package_id=1)


@pytest.mark.parametrize(
    "account, balance, sign",
    [
        (LedgerAccount.ISSUED, "purchased", -1),
        (LedgerAccount.PACKAGE, "available", 1),
        (LedgerAccount.HELD, "held", 1),
        (LedgerAccount.CONSUMED, "consumed", 1),
        (LedgerAccount.ARREARS, "owed", -1),
        (LedgerAccount.EXPIRED, "expired", 1),
        (LedgerAccount.VOIDED, "voided", 1),
        (LedgerAccount.WRITTEN_OFF, "written_off", -1),
    ],
)
def test_every_ledger_account_has_its_balance(
    account: LedgerAccount, balance: str, sign: int
) -> None:
    """§3: contra accounts are kept with their sign turned, so that every balance is >= 0."""
    other = LedgerAccount.EXPIRED if account is not LedgerAccount.EXPIRED else LedgerAccount.VOIDED
    package = 1 if account in {LedgerAccount.PACKAGE, LedgerAccount.HELD} else None

    moved = apply(
        a_meter(),
        a_posting(
            Entry(account=account, amount=7, package_id=package),
            Entry(account=other, amount=-7),
        ),
    )

    assert getattr(moved, balance) == sign * 7


_ENTRIES = st.lists(
    st.tuples(st.sampled_from(LedgerAccount), st.integers(-(10**6), 10**6).filter(bool)),
    max_size=5,
)


@given(_ENTRIES)
def test_conservation_holds_after_any_posting(parts: list[tuple[LedgerAccount, int]]) -> None:
    """§11: purchased = used + held + expired + voided + available, whatever is posted."""
    entries = [
        Entry(
            account=account,
            amount=amount,
            package_id=1 if account in {"package", "held"} else None,
        )
        for account, amount in parts
    ]
    if total := sum(entry.amount for entry in entries):
        entries.append(Entry(account=LedgerAccount.CONSUMED, amount=-total))

    meter = apply(a_meter(), a_posting(*entries))

    assert (
        meter.purchased == meter.used + meter.held + meter.expired + meter.voided + meter.available
    )
