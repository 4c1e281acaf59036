"""Invariant 7, replayed: which package could be burned is a question about every other package.

As a query it compares each package with each better one: quadratic in packages, an hour at 10,000.
Here the journal passes by once, and only packages with units left are remembered.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from sqlalchemy import select

from quota.ledger import LedgerAccount, PostingKind
from quota.package import Package
from quota.time import Instant
from storage import tables as t
from storage.rows import package_of
from storage.view import SqlView

_IN_PARTS = {"yield_per": 10_000}
_BURNS = frozenset({PostingKind.CHARGE, PostingKind.HOLD})
_BurnKey: TypeAlias = tuple[bool, Instant, int]
_Legs: TypeAlias = Sequence[Any]


class _Shelf:
    """The packages of one meter that have units left, in burn order."""

    def __init__(self) -> None:
        self._keys: list[_BurnKey] = []
        self._left: dict[int, int] = {}

    def move(self, package: Package, amount: int) -> None:
        before = self._left.get(package.id, 0)
        left = before + amount
        self._left[package.id] = left
        if left > 0 >= before:
            insort(self._keys, package.burn_key)
        elif before > 0 >= left:
            del self._left[package.id], self._keys[bisect_left(self._keys, package.burn_key)]

    def before(self, package: Package) -> Iterator[int]:
        """Ids of the packages with units left that come before this one."""
        for key in self._keys:
            if key >= package.burn_key:
                return
            yield key[-1]


def burns_astray(view: SqlView) -> Iterator[dict[str, int | str | None]]:
    """Units taken from a package while one that expires sooner could be used and lasted (BURN)."""
    found = view.connection.execute(select(t.packages), execution_options=_IN_PARTS)
    packages = {row.id: package_of(row) for row in found}
    p, e = t.postings.c, t.entries.c
    statement = (
        select(p.id, p.meter_id, p.kind, p.effective_at, e.package_id, e.amount)
        .join(t.entries, e.posting_id == p.id)
        .where(e.account == LedgerAccount.PACKAGE, e.package_id.is_not(None))
        .order_by(p.id, e.line_no)
    )
    shelves: dict[int, _Shelf] = {}
    rows = view.connection.execute(statement, execution_options=_IN_PARTS)
    for posting_id, legs in groupby(rows, key=lambda row: row.id):
        listed: _Legs = list(legs)
        shelf = shelves.setdefault(listed[0].meter_id, _Shelf())
        for leg in listed:
            shelf.move(packages[leg.package_id], leg.amount)
        if listed[0].kind in _BURNS:
            yield from _better(shelf, posting_id, listed, packages)


def _better(
    shelf: _Shelf, posting_id: int, legs: _Legs, packages: dict[int, Package]
) -> Iterator[dict[str, int | str | None]]:
    """Judged when the whole posting is booked: what it used up was no better choice."""
    for leg in legs:
        burned = packages[leg.package_id]
        usable = (
            package_id
            for package_id in shelf.before(burned)
            if packages[package_id].effective_at <= leg.effective_at
            and not packages[package_id].expired(leg.effective_at)
        )
        if leg.amount < 0 and (better := next(usable, None)) is not None:
            yield {
                "posting_id": posting_id,
                "meter_id": leg.meter_id,
                "package_id": leg.package_id,
                "better_package_id": better,
            }
