"""The register of spools in the ledger: whose disk may still hold what was acknowledged.

An examination counts as never stored only when every spool says that it is filed through
(design §5, §7). A spool stops to count when it was closed with nothing in it, or when an operator
has declared it lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, RowMapping, case, func, select, update

from quota.action import By
from quota.order import Rejected
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage import tables as t
from storage.view import SqlView
from storage.work import SqlWork

UNSEEN_AFTER_S = 900
_UNSEEN_AFTER = UNSEEN_AFTER_S * MICROSECONDS_PER_SECOND
_SPOOLS = t.spools.c


class SpoolState(StrEnum):
    """What became of a spool, as far as the register knows."""

    SERVING = "serving"
    """A worker holds it."""
    IDLE = "idle"
    """It was closed with nothing in it."""
    UNSEEN = "unseen"
    """No worker has been heard of for 15 minutes, and it may hold records."""
    LOST = "lost"
    """An operator has declared it lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpoolReport:
    """What a worker says of a spool. `oldest_received_at` is the host's clock's."""

    id: str
    host: str
    records: int
    bytes: int
    limit_bytes: int
    oldest_received_at: Instant | None
    filed_through: Instant | None
    """By the ledger's clock; None where no later instant is known than was told before."""
    minute_bytes: int = 0
    emptied: bool = False
    """Closed with nothing in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredSpool:
    """A spool as the register has it."""

    id: str
    host: str
    state: SpoolState
    first_seen: Instant
    last_seen: Instant
    filed_through: Instant
    oldest_received_at: Instant | None
    records: int
    bytes: int
    limit_bytes: int
    minute_bytes: int
    declared_lost_at: Instant | None
    declared_by: str | None
    reason: str | None

    @property
    def fill(self) -> float:
        """Between 0 and 1."""
        return min(self.bytes / self.limit_bytes, 1.0) if self.limit_bytes else 0.0

    @property
    def drains_in_s(self) -> int | None:
        """At the rate of the last minute; None where nothing was filed in it."""
        if self.bytes == 0:
            return 0
        return self.bytes * 60 // self.minute_bytes if self.minute_bytes else None


def register(work: SqlWork, spool_id: str, *, host: str) -> None:
    """A worker has opened it, or an operator brought it: it counts from now on.

    One that had been declared lost is found again, journaled: what it holds is to be filed first.
    """
    now = work.clock()
    seen = {"host": host, "last_seen": now}
    if work.insert_missing(t.spools, {"id": spool_id, "first_seen": now, **seen}):
        return
    lost = select(_SPOOLS.declared_lost_at).where(_SPOOLS.id == spool_id)
    if work.connection.execute(lost).scalar_one() is not None:
        work.note_action(
            actor="gateway", action="spool_found", subject=spool_id, reason="it was opened again"
        )
    found = {"declared_lost_at": None, "declared_by": None, "reason": None, "emptied_at": None}
    work.connection.execute(
        update(t.spools).where(_SPOOLS.id == spool_id).values({**seen, **found})
    )


def beat(work: SqlWork, report: SpoolReport) -> None:
    """Write down what a worker says; `filed_through` never moves backwards."""
    now = work.clock()
    through = report.filed_through or 0
    later = case((_SPOOLS.filed_through < through, through), else_=_SPOOLS.filed_through)
    work.connection.execute(
        update(t.spools)
        .where(_SPOOLS.id == report.id)
        .values(
            host=report.host,
            last_seen=now,
            records=report.records,
            bytes=report.bytes,
            limit_bytes=report.limit_bytes,
            minute_bytes=report.minute_bytes,
            oldest_received_at=report.oldest_received_at,
            emptied_at=now if report.emptied else None,
            filed_through=later,
        )
    )


def declare_lost(work: SqlWork, spool_id: str, *, by: By) -> RegisteredSpool | Rejected | None:
    """Give a spool up, journaled; None where none has that id. Commit unless it is rejected.

    What it held and nobody filed is gone for good; its examinations may then be reversed.
    """
    found = work.connection.execute(
        select(t.spools).where(_SPOOLS.id == spool_id).with_for_update()
    )
    row = found.mappings().one_or_none()
    if row is None:
        return None
    known = _of(row, work.clock())
    match known.state:
        case SpoolState.SERVING:
            return _rejected("a worker holds it; stop the gateway on its host, or wait 15 minutes")
        case SpoolState.IDLE:
            return _rejected("it was closed with nothing in it: there is nothing to lose")
        case SpoolState.LOST:
            return known
        case SpoolState.UNSEEN:
            work.connection.execute(
                update(t.spools)
                .where(_SPOOLS.id == spool_id)
                .values(declared_lost_at=work.clock(), declared_by=by.actor, reason=by.reason)
            )
            work.note_action(
                actor=by.actor, action="spool_lost", subject=spool_id, reason=by.reason
            )
    return next(one for one in registered(work) if one.id == spool_id)


def registered(view: SqlView) -> Sequence[RegisteredSpool]:
    """Every spool that was ever seen, by host."""
    now = view.clock()
    rows = view.connection.execute(select(t.spools).order_by(_SPOOLS.host, _SPOOLS.id))
    return [_of(row, now) for row in rows.mappings()]


def unseen_count(view: SqlView) -> int:
    """How many spools may hold records while nobody has heard of them for 15 minutes."""
    silent = _SPOOLS.last_seen <= view.clock() - _UNSEEN_AFTER
    statement = select(func.count()).select_from(t.spools).where(_counts(), silent)
    found: int = view.connection.execute(statement).scalar_one()
    return found


def all_filed_through(view: SqlView) -> Instant | None:
    """Through which instant every spool that counts is filed; None where there is no register yet.

    With no spool that counts, through now.
    """
    any_known = view.connection.execute(select(_SPOOLS.id).limit(1)).one_or_none()
    if any_known is None:
        return None
    earliest = select(func.min(_SPOOLS.filed_through)).where(_counts())
    through: Instant | None = view.connection.execute(earliest).scalar_one()
    return view.clock() if through is None else through


def _counts() -> ColumnElement[bool]:
    return _SPOOLS.emptied_at.is_(None) & _SPOOLS.declared_lost_at.is_(None)


def _of(row: RowMapping, now: Instant) -> RegisteredSpool:
    values = dict(row)
    emptied_at = values.pop("emptied_at")
    if values["declared_lost_at"] is not None:
        state = SpoolState.LOST
    elif emptied_at is not None:
        state = SpoolState.IDLE
    elif values["last_seen"] <= now - _UNSEEN_AFTER:
        state = SpoolState.UNSEEN
    else:
        state = SpoolState.SERVING
    return RegisteredSpool(state=state, **values)


def _rejected(message: str) -> Rejected:
    return Rejected(rule="SPOOL-LOST", message=message)
