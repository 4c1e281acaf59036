"""Waits until an order is credited, and is the keeper where nobody else is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gateway.cli import lookup
from quota.order import OrderState

if TYPE_CHECKING:
    from quota.order import Order
    from storage.ledger import SqlLedger

_POLL_INTERVAL_S = 0.1


def await_credit(ledger: SqlLedger, number: str, *, wait_s: float) -> Order:
    """Wait up to `wait_s` until the keeper has credited the order; be the keeper if nobody is.

    Returns the order as it then is. Trying for the lock again in each turn covers a gateway that
    ends meanwhile, and another `order pay` that began before this order was paid.
    """
    from gateway.bootstrap import KEEPER_LOCK
    from gateway.keeper import credit_paid_orders

    pause = threading.Event()
    turns_left = int(wait_s / _POLL_INTERVAL_S)
    while True:
        with ledger.database.try_lock(KEEPER_LOCK) as alone:
            if alone:
                credit_paid_orders(ledger, credited=lambda _order: None)
        with ledger.read() as view:
            order = lookup.order(view, number)
        if order.state in {OrderState.CREDITED, OrderState.VOIDED} or turns_left == 0:
            return order
        turns_left -= 1
        pause.wait(_POLL_INTERVAL_S)
