"""The examinations that need not be kept any longer: listed, not deleted (§8). Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import TypeAlias

from sqlalchemy import Row, Select, and_, select, tuple_

from quota import service
from quota.account import CAPACITY, Account, Plan
from quota.retention import capacity_ended_at
from quota.time import Instant
from storage import tables as t
from storage.rows import package_of
from storage.view import SqlView

_Place: TypeAlias = tuple[Instant, str]
"""Where a row stands in the list: when its retention ended, then its id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """An examination that may be deleted without an override; it names no patient."""

    id: str
    institution: str
    account: str
    account_id: int
    admitted_at: Instant
    retained_until: Instant | None
    """None on the capacity plan: kept while a capacity package was active."""
    ended_at: Instant
    instances: int
    bytes: int

    @property
    def place(self) -> _Place:
        """Its place in the list."""
        return (self.ended_at, self.id)


def retention_ended(
    view: SqlView,
    *,
    limit: int,
    account_id: int | None = None,
    institution_id: int | None = None,
    before: str | None = None,
) -> Sequence[Ended] | None:
    """At most `limit` examinations whose retention has ended, the latest end first.

    `before` is the id of the last one of the page before, deleted since or not; None is returned
    where its retention has not ended, so that the list can't go on behind it. Ids are UUIDs,
    which every collation orders alike.
    """
    accounts = [
        account for account in view.accounts() if account_id is None or account.id == account_id
    ]
    ends = _capacity_ends(view, accounts)
    place: _Place | None = None
    if before is not None and (place := _place_of(view, before)) is None:
        return None
    wanted = _EXAMINATIONS.where(t.examinations.c.deleted_at.is_(None)).limit(limit)
    if institution_id is not None:
        wanted = wanted.where(t.examinations.c.institution_id == institution_id)
    found = list(_by_term(view, wanted, account_id=account_id, place=place))
    for account, ended_at in ends.items():
        found += _by_capacity(view, wanted, account, ended_at, place=place)
    return list(islice(sorted(found, key=attrgetter("place"), reverse=True), limit))


_EXAMINATIONS = (
    select(
        t.examinations.c.id,
        t.institutions.c.name.label("institution"),
        t.accounts.c.name.label("account"),
        t.examinations.c.account_id,
        t.examinations.c.admitted_at,
        t.examinations.c.retained_until,
        t.examinations.c.instances,
        t.examinations.c.bytes,
    )
    .join(t.institutions, t.institutions.c.id == t.examinations.c.institution_id)
    .join(t.accounts, t.accounts.c.id == t.examinations.c.account_id)
)


def _capacity_ends(view: SqlView, accounts: Sequence[Account]) -> dict[int, Instant]:
    """Accounts without an active capacity package, and since when; boundaries up to now count."""
    ends: dict[int, Instant] = {}
    for account in accounts:
        if account.plan is not Plan.PER_CAPACITY:
            continue
        book = service.peek(view, account, CAPACITY)
        rows = view.connection.execute(
            select(t.packages).where(t.packages.c.meter_id == book.meter.id)
        )
        ended_at = capacity_ended_at(map(package_of, rows), at=book.at)
        if ended_at is not None:
            ends[account.id] = ended_at
    return ends


def _place_of(view: SqlView, examination_id: str) -> _Place | None:
    columns = t.examinations.c
    row = view.connection.execute(
        select(columns.account_id, columns.retained_until).where(columns.id == examination_id)
    ).one_or_none()
    if row is None:
        return None
    ended_at = row.retained_until
    if ended_at is None:
        ended_at = _capacity_ends(view, [view.account(row.account_id)]).get(row.account_id)
    if ended_at is None or ended_at > view.clock():
        return None
    return (ended_at, examination_id)


def _by_term(
    view: SqlView,
    wanted: Select[tuple[object, ...]],
    *,
    account_id: int | None,
    place: _Place | None,
) -> Iterator[Ended]:
    """Those with a term of their own, by the storage years of what paid for them."""
    columns = t.examinations.c
    statement = wanted.where(
        columns.retained_until.is_not(None), columns.retained_until <= view.clock()
    ).order_by(columns.retained_until.desc(), columns.id.desc())
    if account_id is not None:
        statement = statement.where(columns.account_id == account_id)
    if place is not None:
        # The first condition says nothing new, but lets the index begin at the right place.
        behind = tuple_(columns.retained_until, columns.id) < place
        statement = statement.where(and_(columns.retained_until <= place[0], behind))
    for row in view.connection.execute(statement):
        yield _ended(row, row.retained_until)


def _by_capacity(
    view: SqlView,
    wanted: Select[tuple[object, ...]],
    account_id: int,
    ended_at: Instant,
    *,
    place: _Place | None,
) -> Iterator[Ended]:
    """Those that an account's capacity kept, all of which it lets go at one instant."""
    columns = t.examinations.c
    if place is not None and ended_at > place[0]:
        return
    statement = wanted.where(
        columns.retained_until.is_(None), columns.account_id == account_id
    ).order_by(columns.id.desc())
    if place is not None and ended_at == place[0]:
        statement = statement.where(columns.id < place[1])
    for row in view.connection.execute(statement):
        yield _ended(row, ended_at)


def _ended(row: Row[tuple[object, ...]], ended_at: Instant) -> Ended:
    return Ended(
        id=row.id,
        institution=row.institution,
        account=row.account,
        account_id=row.account_id,
        admitted_at=row.admitted_at,
        retained_until=row.retained_until,
        ended_at=ended_at,
        instances=row.instances,
        bytes=row.bytes,
    )
