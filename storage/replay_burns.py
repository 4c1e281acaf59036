"""Invariant 7, replayed: which package could be burned is a question about every other package.

As a query it compares each package with each better one: quadratic in packages, an hour at 10,000.
Here the journal passes by once, and only packages with units left are remembered.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import select

from quota.ledger import LedgerAccount, PostingKind
from quota.package import Package
from quota.time import Instant
from storage import tables as t
from storage.passing import passing
from storage.rows import package_of
from storage.view import SqlView

_IN_PARTS = {"yield_per": 10_000}
_BURNS = frozenset({PostingKind.CHARGE, PostingKind.HOLD})
_BurnKey: TypeAlias = tuple[bool, Instant, int]
_Legs: TypeAlias = Sequence[tuple[Any, ...]]


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
        burn_key = package.burn_key
        for key in self._keys:
            if key >= burn_key:
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
    for _, legs in groupby(passing(view.connection, statement), key=itemgetter(0)):
        listed = list(legs)
        _, meter_id, kind, *_ = listed[0]
        shelf = shelves.setdefault(meter_id, _Shelf())
        for *_, package_id, amount in listed:
            shelf.move(packages[package_id], amount)
        if kind in _BURNS:
            yield from _better(shelf, listed, packages)


def _better(
    shelf: _Shelf, legs: _Legs, packages: dict[int, Package]
) -> Iterator[dict[str, int | str | None]]:
    """Judged when the whole posting is booked: what it used up was no better choice."""
    for posting_id, meter_id, _, effective_at, package_id, amount in legs:
        if amount >= 0:
            continue
        for other_id in shelf.before(packages[package_id]):
            other = packages[other_id]
            if other.effective_at <= effective_at and not other.expired(effective_at):
                yield {
                    "posting_id": posting_id,
                    "meter_id": meter_id,
                    "package_id": package_id,
                    "better_package_id": other_id,
                }
                break
