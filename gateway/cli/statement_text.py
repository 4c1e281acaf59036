"""Statements as rows of CSV and as JSON: headers that programs may rely on; no patient data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from quota.account import CAPACITY, EXAM
from quota.statement import MOVE_NAMES
from quota.time import Instant, isoformat

if TYPE_CHECKING:
    from gateway.cli.documents import Document
    from quota.account import Account
    from quota.statement import Line, MeterStatement, Month, Statement

_OPEN = ("available", "held", "owed")
_TOTALS = ("purchased", "used", "expired", "voided", "written_off")
# A change, not a balance: the one move that may be negative.
_MOVES = tuple("held_change" if name == "held" else name for name in MOVE_NAMES)
_LEVEL = ("opening_bytes", "added_bytes", "freed_bytes", "closing_bytes")

HEADER = [
    *("account_id", "account", "month", "timezone", "starts_at", "ends_at", "read_at"),
    *("meter", "unit", "finality", "pending_postings"),
    *(f"opening_{name}" for name in _OPEN),
    *_MOVES,
    *(f"closing_{name}" for name in _OPEN),
    *(f"total_{name}" for name in _TOTALS),
    *_LEVEL,
    *("limit_bytes", "over_limit_bytes"),
]
"""One row per meter. Columns of bytes are empty but on `capacity`; new columns come at the end."""

LINE_HEADER = [
    *("account_id", "month", "meter", "source", "id", "kind", "booked_at", "recorded_at"),
    *("examination_id", "order_no", "package_ids"),
    *_MOVES,
    *("added_bytes", "freed_bytes"),
]
"""One row per posting, or move of the level; `source` and `id` name the record."""


def rows(found: Statement) -> Iterator[list[str]]:
    """The statement under HEADER."""
    instants = (isoformat(at) for at in (found.start, found.end, found.at))
    about = [str(found.account.id), found.account.name, str(found.month), found.account.timezone]
    about += instants
    for meter in found.meters:
        yield about + _row(meter)


def _row(meter: MeterStatement) -> list[str]:
    figures = [
        *(getattr(meter.opening, name) for name in _OPEN),
        *(getattr(meter.moves, name) for name in MOVE_NAMES),
        *(getattr(meter.closing, name) for name in _OPEN),
        *(getattr(meter.closing, name) for name in _TOTALS),
    ]
    level = meter.level
    bytes_ = [""] * (len(_LEVEL) + 2)
    if level is not None:
        stored = (level.opening, level.added, level.freed, level.closing)
        limits = ("", "") if level.limit is None else (level.limit, level.over_limit)
        bytes_ = [str(value) for value in (*stored, *limits)]
    named = [meter.meter, unit(meter.meter), meter.finality.value, str(meter.pending)]
    return named + [str(figure) for figure in figures] + bytes_


def line_row(account: Account, month: Month, line: Line) -> list[str]:
    """A line under LINE_HEADER."""
    return [
        *(str(account.id), str(month), line.meter, line.source),
        *("" if line.id is None else str(line.id), line.kind),
        *(isoformat(line.booked_at), _text(line.recorded_at) or ""),
        *(line.examination_id or "", line.order_no or "", " ".join(map(str, line.packages))),
        *(str(getattr(line.moves, name)) for name in MOVE_NAMES),
        *(str(line.added), str(line.freed)),
    ]


def document(found: Statement) -> Document:
    """The statement as JSON."""
    return {
        "account_id": found.account.id,
        "account": found.account.name,
        "month": str(found.month),
        "timezone": found.account.timezone,
        "starts_at": isoformat(found.start),
        "ends_at": isoformat(found.end),
        "read_at": isoformat(found.at),
        "meters": {meter.meter: _meter(meter) for meter in found.meters},
    }


def _meter(meter: MeterStatement) -> Document:
    level = meter.level
    return {
        "unit": unit(meter.meter),
        "finality": meter.finality.value,
        "pending_postings": meter.pending,
        "opening": asdict(meter.opening),
        "moves": dict(zip(_MOVES, asdict(meter.moves).values(), strict=True)),
        "closing": asdict(meter.closing),
        "level": None
        if level is None
        else {
            "opening_bytes": level.opening,
            "added_bytes": level.added,
            "freed_bytes": level.freed,
            "closing_bytes": level.closing,
            "limit_bytes": level.limit,
            "over_limit_bytes": None if level.limit is None else level.over_limit,
        },
    }


def line_document(line: Line) -> Document:
    """A line as JSON; moves that are zero are left out."""
    moves = dict(zip(_MOVES, asdict(line.moves).values(), strict=True))
    return {
        "meter": line.meter,
        "source": line.source,
        "id": line.id,
        "kind": line.kind,
        "booked_at": isoformat(line.booked_at),
        "recorded_at": _text(line.recorded_at),
        "examination_id": line.examination_id,
        "order_no": line.order_no,
        "package_ids": list(line.packages),
        "moves": {name: units for name, units in moves.items() if units},
        "added_bytes": line.added,
        "freed_bytes": line.freed,
    }


def unit(meter: str) -> str:
    """What the meter counts."""
    return {EXAM: "examinations", CAPACITY: "bytes"}.get(meter, "calls")


def _text(instant: Instant | None) -> str | None:
    return None if instant is None else isoformat(instant)
