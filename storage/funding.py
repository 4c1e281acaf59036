"""What the packages say at an instant: which are due, and what bears on an admission.

An admission asks it in ONE statement while its meter is locked: every round trip there is a time
in which nobody else on the account is admitted. Each part meets an index that holds no package that
has ended or is used up, so what was bought years ago costs nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    union_all,
)

from quota.facts import Charged
from quota.package import Package
from quota.ports import Funding
from quota.time import Instant
from storage import tables as t
from storage.rows import package_of

_DUE, _HEAD, _CHARGED = "due", "head", "charged"
_K = t.packages.c
_AT = bindparam("at", type_=_K.effective_at.type)
_OF_METER = _K.meter_id == bindparam("meter_id")

BURNABLE = (
    select(t.packages)
    .where(
        _OF_METER,
        # Spelled out, not bound: a plan made for any value would leave the partial index alone.
        _K.remaining > literal_column("0"),
        _K.effective_at <= _AT,
        (_K.expires_at > _AT) | _K.expires_at.is_(None),
    )
    .order_by(_K.expires_at.nulls_last(), _K.id)
)
"""The packages in burn order that are unexpired with units left (BURN)."""


def _due(*columns: Any) -> tuple[Select[Any], Select[Any]]:
    """Expired, and not; two selects, since an OR of the two boundaries meets no index."""
    active = select(*columns).where(_OF_METER, _K.ended_at.is_(None))
    return (
        active.where(_K.expires_at <= _AT),
        active.where(
            _K.activated_at.is_(None),
            _K.effective_at <= _AT,
            (_K.expires_at > _AT) | _K.expires_at.is_(None),
        ),
    )


DUE = union_all(*_due(t.packages))
"""Packages not ended of which the beginning or the end has passed and is not booked."""


def _part(name: str) -> ColumnElement[str]:
    return literal_column(f"'{name}'", String)


_NONE = cast(null(), BigInteger)
_head = BURNABLE.limit(1).subquery()
_FUNDING = union_all(
    *_due(_part(_DUE).label("part"), _NONE.label("paid_by"), _NONE.label("at"), t.packages),
    select(_part(_HEAD), _NONE, _NONE, _head),
    select(_part(_CHARGED), t.charges.c.package_id, t.charges.c.charged_at, t.packages)
    .select_from(t.charges.outerjoin(t.packages))
    .where(
        t.charges.c.examination_id == bindparam("examination_id"),
        literal_column("charges.state IN ('funded', 'owed')"),
    ),
)


def funding(connection: Connection, *, meter_id: int, examination_id: str, at: Instant) -> Funding:
    """All that an admission asks of packages and charges."""
    parameters = {"meter_id": meter_id, "examination_id": examination_id, "at": at}
    due: list[Package] = []
    head = charge = payer = None
    for row in connection.execute(_FUNDING, parameters):
        package = None if row.id is None else package_of(row)
        if row.part == _CHARGED:
            payer = package
            charge = Charged(
                examination_id=examination_id, charged_at=row.at, package_id=row.paid_by
            )
        elif row.part == _HEAD:
            head = package
        elif package is not None:
            due.append(package)
    return Funding(due=due, head=head, charge=charge, payer=payer)
