"""Names or ids: what a person typed, and the one thing that is meant by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import typer

from gateway.cli.problem import Problem
from gateway.cli.values import did_you_mean
from quota.action import By

if TYPE_CHECKING:
    from quota.account import Account
    from quota.order import Order
    from storage.consortia import Consortium
    from storage.records import Institution
    from storage.reports import ExaminationDetail
    from storage.view import SqlView


class _Named(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


_T = TypeVar("_T", bound=_Named)

_RULES = {"order": "ORD-2"}
"""What is unknown is refused by the rule that says how it is known: an order by its number. Where
the quota's rules name none it is called by the noun of their §1: ACCOUNT, INSTITUTION, ..."""


def unknown(kind: str, message: str) -> Problem:
    """What to raise where no `kind` of thing is what was asked for."""
    return Problem(message, rule=_RULES.get(kind, kind.upper()))


def account(view: SqlView, reference: str) -> Account:
    """The account of that id or name; raises Problem."""
    return _one("account", reference, view.accounts())


def institution(view: SqlView, reference: str) -> Institution:
    """The institution of that id or name; raises Problem."""
    from storage.registry import institutions

    return _one("institution", reference, institutions(view))


def consortium(view: SqlView, reference: str) -> Consortium:
    """The consortium of that id or name; raises Problem."""
    from storage.consortia import consortia

    return _one("consortium", reference, consortia(view))


def institution_id(view: SqlView, reference: str | None) -> int | None:
    """The id of the institution meant, None where none was named; raises Problem."""
    return None if reference is None else institution(view, reference).id


def operator(actor: str, reason: str) -> By:
    """Who acts, and why; raises BadParameter where either is missing."""
    if not actor.strip() or not reason.strip():
        raise typer.BadParameter("an operator's act is journaled: say why with --reason TEXT")
    return By(actor=actor.strip(), reason=reason.strip())


def order(view: SqlView, number: str) -> Order:
    """The order of that number; raises Problem."""
    known = view.order(number)
    if known is None:
        raise _unknown("order", number, [order.number for order in view.orders()])
    return known


def examination(view: SqlView, reference: str) -> ExaminationDetail:
    """The examination of that id, or of a study that only one institution has; raises Problem."""
    from storage import reports

    known = reports.examination(view, reference.strip())
    if known is None:
        raise unknown(
            "examination",
            "no examination has that id, or several have that study; see: tollgate exam list",
        )
    return known


def _one(kind: str, reference: str, things: Sequence[_T]) -> _T:
    wanted = reference.strip()
    # An id goes first: no name has digits only, so this hides nothing.
    for thing in things:
        if str(thing.id) == wanted:
            return thing
    for thing in things:
        if thing.name == wanted:
            return thing
    raise _unknown(kind, wanted, [thing.name for thing in things])


def _unknown(kind: str, wanted: str, known: Sequence[str]) -> Problem:
    if not known:
        verb = "place" if kind == "order" else "create"
        return unknown(kind, f"there is no {kind} yet; begin with: tollgate {kind} {verb} --help")
    hint = did_you_mean(wanted, known) or f"; see: tollgate {kind} list"
    return unknown(kind, f"there is no {kind} {wanted!r}{hint}")
