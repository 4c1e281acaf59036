"""An operator at work on a ledger, for tests: acts that are committed unless they are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from quota import correction
from quota.account import Account
from quota.action import By
from quota.facts import Charged
from quota.order import Order, Rejected
from quota.ports import Ledger, Work
from tests.storage.kit import reading

ME = By(actor="anna", reason="agreed by telephone")
_T = TypeVar("_T")


def act(ledger: Ledger, operation: Callable[[Work], _T]) -> _T:
    """An operator's act, committed unless it was refused."""
    with ledger.begin() as work:
        outcome = operation(work)
        if not isinstance(outcome, Rejected):
            work.commit()
    return outcome


def reverse(
    ledger: Ledger, account: Account, examination_id: str, *, never_stored: bool = False
) -> Charged | Rejected:
    """Take a charge back."""
    return act(
        ledger,
        lambda work: correction.reverse(
            work, account, examination_id, by=ME, never_stored=never_stored
        ),
    )


def figures(ledger: Ledger, account: Account) -> tuple[int, int, int, int]:
    """Available, used, owed, and what lapsed or was voided."""
    found = reading(ledger, account)
    return (found.available, found.used, found.owed, found.expired + found.voided)


def void_order(ledger: Ledger, number: str) -> Order | Rejected:
    """Take an order back."""
    return act(ledger, lambda work: correction.void_order(work, number, by=ME))


def write_off(ledger: Ledger, account: Account, units: int) -> int | Rejected:
    """Write the oldest debts off."""
    return act(ledger, lambda work: correction.write_off(work, account, units=units, by=ME))
