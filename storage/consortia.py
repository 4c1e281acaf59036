"""Consortia of institutions: who is a member, and since when (quota.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update

from quota.order import Rejected
from quota.time import Instant
from storage import tables as t
from storage.errors import NameTaken
from storage.view import SqlView
from storage.work import SqlWork


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """An institution that is a member now."""

    institution_id: int
    name: str
    added_at: Instant


@dataclass(frozen=True, kw_only=True, slots=True)
class Consortium:
    """A consortium; `account_id` is the account that belongs to it, if one does."""

    id: int
    name: str
    account_id: int | None
    created_at: Instant
    members: tuple[Member, ...]


def consortia(view: SqlView) -> list[Consortium]:
    """Every consortium with its members, by name."""
    members: dict[int, list[Member]] = {}
    statement = (
        select(t.consortium_members, t.institutions.c.name)
        .join(t.institutions, t.institutions.c.id == t.consortium_members.c.institution_id)
        .where(t.consortium_members.c.removed_at.is_(None))
        .order_by(t.institutions.c.name)
    )
    for row in view.connection.execute(statement):
        members.setdefault(row.consortium_id, []).append(
            Member(institution_id=row.institution_id, name=row.name, added_at=row.added_at)
        )
    rows = view.connection.execute(select(t.consortia).order_by(t.consortia.c.name))
    return [_consortium(row, tuple(members.get(row.id, ()))) for row in rows]


def consortium(view: SqlView, consortium_id: int) -> Consortium:
    """The consortium of that id, which exists."""
    return next(one for one in consortia(view) if one.id == consortium_id)


def add_consortium(work: SqlWork, *, name: str, account_id: int | None) -> Consortium | Rejected:
    """Found a consortium without members; an account belongs to one at most (§1).

    After `Rejected` the caller must not commit. Raises NameTaken.
    """
    if account_id is not None and (taken := _consortium_of(work, account_id)) is not None:
        return Rejected(
            rule="CONSORTIUM", message=f"the account belongs to the consortium {taken!r} already"
        )
    values: dict[str, object] = {
        "name": name,
        "account_id": account_id,
        "created_at": work.clock(),
    }
    consortium_id = work.insert_new(t.consortia, values)
    if consortium_id is None:
        raise NameTaken(f"a consortium named {name!r} exists already")
    return consortium(work, consortium_id)


def _consortium_of(work: SqlWork, account_id: int) -> str | None:
    """The name of the consortium that has the account, which stays locked: one is founded after
    the other. Not FOR UPDATE: whoever opens a meter refers to the account's row."""
    account = select(t.accounts.c.id).where(t.accounts.c.id == account_id)
    work.connection.execute(account.with_for_update(key_share=True))
    name = select(t.consortia.c.name).where(t.consortia.c.account_id == account_id)
    return work.connection.execute(name.order_by(t.consortia.c.id)).scalars().first()


def add_member(work: SqlWork, *, consortium_id: int, institution_id: int) -> bool:
    """Make an institution a member from now on; False where it is one."""
    values: dict[str, object] = {
        "consortium_id": consortium_id,
        "institution_id": institution_id,
        "added_at": work.clock(),
    }
    return work.insert_new(t.consortium_members, values) is not None


def remove_member(work: SqlWork, *, consortium_id: int, institution_id: int) -> bool:
    """End a membership now; False where there is none. What was stays on record."""
    statement = (
        update(t.consortium_members)
        .where(
            t.consortium_members.c.consortium_id == consortium_id,
            t.consortium_members.c.institution_id == institution_id,
            t.consortium_members.c.removed_at.is_(None),
        )
        .values(removed_at=work.clock())
        .returning(t.consortium_members.c.id)
    )
    return work.connection.execute(statement).one_or_none() is not None


def _consortium(row: Row[Any], members: tuple[Member, ...]) -> Consortium:
    return Consortium(
        id=row.id,
        name=row.name,
        account_id=row.account_id,
        created_at=row.created_at,
        members=members,
    )
