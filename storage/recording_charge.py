"""Persists a charge in ONE statement on PostgreSQL: what `recording.py` writes in five.

With 4 processes on one account, the way to the server and back made up most of the time under the
meter's lock. SQLite is in this process, and knows no INSERT within WITH.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import CTE, Connection, bindparam, insert, literal_column, select, update

from quota.facts import Charged, Fact, Posted
from quota.ledger import Meter, Posting, PostingKind
from storage import tables as t
from storage.recording_meter import SAVE_METER, saved

_METER = bindparam("charge_meter", type_=t.charges.c.meter_id.type)
_EXAMINATION = bindparam("charge_examination", type_=t.charges.c.examination_id.type)
_T = bindparam("charge_at", type_=t.charges.c.charged_at.type)
_PACKAGE = bindparam("charge_package", type_=t.packages.c.id.type)
_LINES = (0, 1)
"""A charge has two entries: from a package or arrears, to what is consumed."""

_posting = (
    insert(t.postings)
    .values(
        meter_id=_METER,
        kind=PostingKind.CHARGE,
        effective_at=_T,
        recorded_at=_T,
        examination_id=_EXAMINATION,
    )
    .returning(t.postings.c.id)
    .cte("posting")
)


def _entry(line: int) -> CTE:
    columns = [t.entries.c[name] for name in ("account", "package_id", "amount")]
    values = [bindparam(f"{column.name}_{line}", type_=column.type) for column in columns]
    return (
        insert(t.entries)
        .from_select(
            [t.entries.c.posting_id, t.entries.c.line_no, *columns],
            select(_posting.c.id, literal_column(str(line)), *values),
        )
        .cte(f"entry_{line}")
    )


_charge = (
    insert(t.charges)
    .values(
        meter_id=_METER,
        examination_id=_EXAMINATION,
        state=bindparam("charge_state"),
        package_id=_PACKAGE,
        charged_at=_T,
    )
    .cte("charge")
)
# Where it is owed there is no package, and this meets no row.
_burned = (
    update(t.packages)
    .where(t.packages.c.id == _PACKAGE)
    .values(remaining=t.packages.c.remaining - literal_column("1"))
    .cte("burned")
)
_RECORD = SAVE_METER.add_cte(*map(_entry, _LINES), _charge, _burned)


def charge_of(facts: Sequence[Fact]) -> tuple[Posting, Charged] | None:
    """The charge that the facts begin with; None where they begin with anything else."""
    match facts:
        case [Posted(posting=posting), Charged() as charged, *_]:
            assert posting.kind is PostingKind.CHARGE and len(posting.entries) == len(_LINES)
            assert posting.effective_at == posting.recorded_at == charged.charged_at
            return posting, charged
        case _:
            return None


def record(connection: Connection, meter: Meter, posting: Posting, charged: Charged) -> None:
    """Persist a charge, and the meter as it stands after all that the book decided."""
    legs = {
        f"{name}_{line}": getattr(entry, name)
        for line, entry in zip(_LINES, posting.entries, strict=True)
        for name in ("account", "package_id", "amount")
    }
    connection.execute(
        _RECORD,
        {
            **saved(meter),
            **legs,
            "charge_meter": meter.id,
            "charge_examination": charged.examination_id,
            "charge_at": charged.charged_at,
            "charge_state": charged.state,
            "charge_package": charged.package_id,
        },
    )
