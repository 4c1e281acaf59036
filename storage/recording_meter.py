"""Persists a meter as it now stands, and what its packages have left."""

from __future__ import annotations

from sqlalchemy import bindparam, update

from quota.ledger import Meter
from storage import tables as t

_SAVED = (
    "last_at",
    "purchased",
    "available",
    "held",
    "consumed",
    "owed",
    "expired",
    "voided",
    "written_off",
    "active_quantity",
    "stored",
)
SAVE_METER = (
    update(t.meters)
    .where(t.meters.c.id == bindparam("of_meter"))
    .values({name: bindparam(name) for name in _SAVED})
)
"""Takes what `saved` gives."""

MOVE_REMAINING = (
    update(t.packages)
    .where(t.packages.c.id == bindparam("package_id"))
    .values(remaining=t.packages.c.remaining + bindparam("amount"))
)


def saved(meter: Meter) -> dict[str, int]:
    """The parameters of `SAVE_METER`."""
    return {"of_meter": meter.id, **{name: getattr(meter, name) for name in _SAVED}}
