"""Institutions and their devices: who may send, and where their examinations go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from quota import service
from quota.account import Account
from quota.action import By
from quota.order import Rejected
from storage import tables as t
from storage.errors import Ambiguous, NameTaken, NotFound
from storage.records import Device, Grouping, Institution
from storage.rows import account_of
from storage.view import SqlView
from storage.work import SqlWork

_PAYER = (
    select(t.accounts)
    .join(t.institutions, t.institutions.c.account_id == t.accounts.c.id)
    .where(t.institutions.c.id == bindparam("institution_id"))
)


def institutions(view: SqlView, *, account_id: int | None = None) -> list[Institution]:
    """Every institution, or those for which an account pays, by name."""
    statement = select(t.institutions).order_by(t.institutions.c.name)
    if account_id is not None:
        statement = statement.where(t.institutions.c.account_id == account_id)
    return [_institution(row) for row in view.connection.execute(statement)]


def institution(view: SqlView, institution_id: int) -> Institution:
    """One institution; raises NotFound."""
    statement = select(t.institutions).where(t.institutions.c.id == institution_id)
    row = view.connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(f"there is no institution {institution_id}")
    return _institution(row)


def add_institution(
    work: SqlWork, *, name: str, account_id: int, called_ae_title: str | None
) -> Institution:
    """Register an institution; raises NameTaken where its name or its AE title is another's."""
    values: dict[str, object] = {
        "name": name,
        "account_id": account_id,
        "called_ae_title": called_ae_title,
        "created_at": work.clock(),
    }
    row_id = work.insert_new(t.institutions, values)
    if row_id is None:
        raise NameTaken(f"an institution named {name!r}, or with that AE title, exists already")
    return institution(work, row_id)


def payer(view: SqlView, institution_id: int) -> Account:
    """The account that pays for an institution's new examinations; raises NotFound."""
    row = view.connection.execute(_PAYER, {"institution_id": institution_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no institution {institution_id}")
    return account_of(row)


def move_institution(
    work: SqlWork, institution_id: int, *, account_id: int, by: By
) -> Institution | Rejected:
    """Have another account pay for the examinations to come; those on record stay with theirs (§1).

    Moving it to where it is changes nothing. After `Rejected` the caller must not commit. Raises
    NotFound, UnknownAccount.
    """
    row = select(t.institutions.c.account_id).where(t.institutions.c.id == institution_id)
    # Not FOR UPDATE: whoever holds a meter and inserts an examination refers to this row.
    before = work.connection.execute(row.with_for_update(key_share=True)).scalar_one_or_none()
    if before is None:
        raise NotFound(f"there is no institution {institution_id}")
    # Whoever admits at this moment holds the meter of its account: after it, the move is seen.
    for one in sorted({before, account_id}):
        service.open_book(work, work.account(one), work.account(one).plan.enforced_meter)
    if work.account(account_id).closed_at is not None:
        return Rejected(rule="STATE-6", message="that account is closed: it can't pay for anybody")
    if account_id != before:
        work.connection.execute(
            update(t.institutions)
            .where(t.institutions.c.id == institution_id)
            .values(account_id=account_id)
        )
        work.note_action(
            actor=by.actor,
            action="institution_move",
            subject=f"{institution_id}: {before} to {account_id}",
            reason=by.reason,
        )
    return institution(work, institution_id)


def devices(view: SqlView, institution_id: int | None = None) -> list[Device]:
    """The devices of one institution or of all, by AE title."""
    statement = select(t.devices).order_by(t.devices.c.ae_title, t.devices.c.id)
    if institution_id is not None:
        statement = statement.where(t.devices.c.institution_id == institution_id)
    networks = _lists(view, t.device_networks, "network")
    classes = _lists(view, t.device_sop_classes, "sop_class_uid")
    return [
        _device(row, networks.get(row.id, ()), classes.get(row.id, ()))
        for row in view.connection.execute(statement)
    ]


def add_device(
    work: SqlWork,
    *,
    ae_title: str,
    institution_id: int,
    networks: Iterable[str],
    grouping: Grouping,
    private_sop_classes: Iterable[str],
    tolerates_leading_zeros: bool,
) -> Device:
    """Register a device.

    Raises NameTaken where the institution has one of that AE title, and Ambiguous where an
    association from it could not be told from another institution's.
    """
    wanted = frozenset(networks)
    _check_distinct(work, ae_title=ae_title, institution_id=institution_id, networks=wanted)
    values: dict[str, object] = {
        "ae_title": ae_title,
        "institution_id": institution_id,
        "grouping": grouping,
        "tolerates_leading_zeros": tolerates_leading_zeros,
        "created_at": work.clock(),
    }
    device_id = work.insert_new(t.devices, values)
    if device_id is None:
        raise NameTaken(f"the institution has a device {ae_title!r} already")
    for network in sorted(wanted):
        row = {"device_id": device_id, "network": network}
        work.connection.execute(insert(t.device_networks), row)
    for uid in sorted(set(private_sop_classes)):
        row = {"device_id": device_id, "sop_class_uid": uid}
        work.connection.execute(insert(t.device_sop_classes), row)
    return next(device for device in devices(work, institution_id) if device.id == device_id)


def _check_distinct(
    work: SqlWork, *, ae_title: str, institution_id: int, networks: frozenset[str]
) -> None:
    """Two devices of one title are told apart by network; the same network can't do that."""
    for other in devices(work):
        if other.ae_title != ae_title or other.institution_id == institution_id:
            continue
        if not networks and not other.networks:
            where = "from any network"
        elif shared := networks & set(other.networks):
            where = f"from {', '.join(sorted(shared))}"
        else:
            continue
        if institution(work, institution_id).called_ae_title and _has_own_title(work, other):
            continue
        raise Ambiguous(
            f"another institution has a device {ae_title!r} {where}: "
            "give both a --network of their own, or both institutions an --ae-title of their own"
        )


def _has_own_title(work: SqlWork, device: Device) -> bool:
    return institution(work, device.institution_id).called_ae_title is not None


def _lists(view: SqlView, table: t.Table, column: str) -> dict[int, tuple[str, ...]]:
    statement = select(table).order_by(table.c.device_id, table.c[column])
    rows: Sequence[Row[Any]] = view.connection.execute(statement).all()
    return {
        device_id: tuple(getattr(row, column) for row in group)
        for device_id, group in groupby(rows, key=lambda row: row.device_id)
    }


def _institution(row: Row[Any]) -> Institution:
    return Institution(
        id=row.id,
        name=row.name,
        account_id=row.account_id,
        called_ae_title=row.called_ae_title,
        created_at=row.created_at,
        closed_at=row.closed_at,
    )


def _device(row: Row[Any], networks: tuple[str, ...], classes: tuple[str, ...]) -> Device:
    return Device(
        id=row.id,
        ae_title=row.ae_title,
        institution_id=row.institution_id,
        networks=networks,
        grouping=Grouping(row.grouping),
        private_sop_classes=classes,
        tolerates_leading_zeros=row.tolerates_leading_zeros,
        created_at=row.created_at,
        closed_at=row.closed_at,
    )
