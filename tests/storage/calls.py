"""AI calls in tests: bought in any number, set aside, used, given back."""

from __future__ import annotations

from collections.abc import Callable

from quota import ai
from quota.account import Account
from quota.hold import Hold
from quota.order import LineRequest, OrderRequest
from quota.ports import Ledger, Work
from tests.storage.kit import credit, pay

PRODUCT = "glaucoma"
METER = f"ai:{PRODUCT}"


def buy_calls(ledger: Ledger, account: Account, number: str, units: int) -> None:
    """A package of so many calls, credited at once; 0 is one without limit."""
    with ledger.begin() as work:
        line = LineRequest(meter=METER, quantity=units)
        request = OrderRequest(number=number, account_id=account.id, lines=(line,))
        work.add_order(request, placed_at=work.clock())
        work.commit()
    pay(ledger, number)
    credit(ledger, number)


def do(ledger: Ledger, act: Callable[[Work], ai.Holding]) -> ai.Holding:
    """Act in a transaction; commit what was not refused."""
    with ledger.begin() as work:
        outcome = act(work)
        if isinstance(outcome, Hold):
            work.commit()
    return outcome


def hold(ledger: Ledger, account: Account, key: str, units: int, *, ttl_s: int = 600) -> ai.Holding:
    """Set calls aside."""
    return do(
        ledger,
        lambda work: ai.hold(work, account, PRODUCT, key=key, units=units, ttl_s=ttl_s),
    )


def post(ledger: Ledger, account: Account, key: str, units: int) -> ai.Holding:
    """Use some of them."""
    return do(ledger, lambda work: ai.post(work, account, PRODUCT, key=key, units=units))


def void(ledger: Ledger, account: Account, key: str) -> ai.Holding:
    """Give them back."""
    return do(ledger, lambda work: ai.void(work, account, PRODUCT, key=key))
