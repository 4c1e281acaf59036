"""Institutions, consortia and what they buy, on any store."""

from __future__ import annotations

from quota import service
from quota.account import Account
from quota.licence import Licence, Scope
from quota.order import LineRequest, Order, OrderRequest, Rejected
from quota.ports import Ledger
from quota.service_term import BoughtService
from storage.consortia import Consortium, add_consortium, add_member
from storage.memory_bought import MemoryBoughtWork
from storage.registry import add_institution
from storage.work import SqlWork
from tests.quota.goods import GOODS
from tests.storage.kit import credit, pay


def enrol(
    ledger: Ledger, account: Account, institution_id: int, *, consortium_id: int | None = None
) -> None:
    """An institution of that id, a member of that consortium, if any; both made if need be."""
    with ledger.begin() as work:
        if isinstance(work, MemoryBoughtWork):
            work.enrol(institution_id, account_id=account.id, consortium_id=consortium_id)
        else:
            assert isinstance(work, SqlWork)
            name = f"Hospital {institution_id}"
            made = add_institution(work, name=name, account_id=account.id, called_ae_title=None)
            assert made.id == institution_id, "the next id is given"
            if consortium_id is not None:
                if not work.payers_of(consortium_id):
                    founded = add_consortium(work, name=f"U {consortium_id}", account_id=None)
                    assert isinstance(founded, Consortium)
                    assert founded.id == consortium_id, "the next id is given"
                add_member(work, consortium_id=consortium_id, institution_id=made.id)
        work.commit()


def a_licence(
    feature: str = "mobile",
    *,
    years: int = 1,
    consortium_id: int | None = None,
    renews: int | None = None,
) -> LineRequest:
    """A line for one licence."""
    return LineRequest(
        meter=f"licence:{feature}",
        quantity=1,
        years=years,
        consortium_id=consortium_id,
        renews_licence_id=renews,
    )


def order(
    ledger: Ledger,
    account: Account,
    number: str,
    *lines: LineRequest,
    institution_id: int | None = 1,
) -> Order | Rejected:
    """Place an order; commit unless it was refused."""
    request = OrderRequest(
        number=number, account_id=account.id, lines=lines, institution_id=institution_id
    )
    with ledger.begin() as work:
        placed = service.place(work, request, catalogue=GOODS)
        if isinstance(placed, Order):
            work.commit()
    return placed


def buy(
    ledger: Ledger,
    account: Account,
    number: str,
    *lines: LineRequest,
    institution_id: int | None = 1,
) -> Order:
    """Place, pay and credit an order."""
    placed = order(ledger, account, number, *lines, institution_id=institution_id)
    assert isinstance(placed, Order), placed
    pay(ledger, number)
    return credit(ledger, number)


def licences(ledger: Ledger, scope: Scope | None = None) -> list[Licence]:
    """The licences on record."""
    with ledger.read() as view:
        return list(view.licences(scope=scope))


def services(ledger: Ledger, account_id: int | None = None) -> list[BoughtService]:
    """The services on record."""
    with ledger.read() as view:
        return list(view.services(account_id=account_id))
