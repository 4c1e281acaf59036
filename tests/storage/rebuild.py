"""Throws every cached balance away and makes it again from the journal, as a person would."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from storage import tables as t
from storage.ledger import SqlLedger

DAY = 86_400_000_000
SIGNS = {
    "issued": ("purchased", -1),
    "package": ("available", 1),
    "held": ("held", 1),
    "consumed": ("consumed", 1),
    "arrears": ("owed", -1),
    "expired": ("expired", 1),
    "voided": ("voided", 1),
    "written_off": ("written_off", -1),
}


@dataclass
class Derived:
    """What the journal says of everything that is kept beside it."""

    balances: dict[int, dict[str, int]] = field(
        default_factory=lambda: defaultdict(
            lambda: dict.fromkeys([n for n, _ in SIGNS.values()], 0)
        )
    )
    remaining: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    charges: list[dict[str, Any]] = field(default_factory=list)
    episodes: list[dict[str, Any]] = field(default_factory=list)


def forget_and_rebuild(ledger: SqlLedger) -> None:
    """Spoil meters.*, packages.remaining, charges and episodes; then rebuild all of them."""
    with ledger.begin() as work:
        _spoil(work.connection)
        derived = _read_journal(work.connection)
        _write(work.connection, derived)
        work.commit()


def _spoil(connection: Connection) -> None:
    names = [name for name, _ in SIGNS.values()]
    connection.execute(update(t.meters).values(dict.fromkeys([*names, "active_quantity"], -7)))
    connection.execute(update(t.packages).values(remaining=-7))
    connection.execute(delete(t.charges))
    connection.execute(update(t.episodes).values(started_at=-7, deadline=-7, closed_at=-7))


def _read_journal(connection: Connection) -> Derived:
    derived = Derived()
    entries: dict[int, list[Row[Any]]] = defaultdict(list)
    for entry in connection.execute(select(t.entries).order_by(t.entries.c.line_no)):
        entries[entry.posting_id].append(entry)
    postings = connection.execute(select(t.postings).order_by(t.postings.c.id)).all()
    for n, posting in enumerate(postings):
        _take(derived, posting, entries[posting.id])
        following = [p.recorded_at for p in postings[n + 1 :] if p.meter_id == posting.meter_id]
        if not following or following[0] != posting.recorded_at:
            _turn_clock(derived, posting)
    return derived


def _take(derived: Derived, posting: Row[Any], entries: list[Row[Any]]) -> None:
    for entry in entries:
        name, sign = SIGNS[entry.account]
        derived.balances[posting.meter_id][name] += sign * entry.amount
        if entry.package_id is not None and entry.account == "package":
            derived.remaining[entry.package_id] += entry.amount
    package_id = next((e.package_id for e in entries if e.package_id is not None), None)
    if posting.kind == "charge":
        derived.charges.append(
            {
                "meter_id": posting.meter_id,
                "examination_id": posting.examination_id,
                "state": "owed" if package_id is None else "funded",
                "package_id": package_id,
                "charged_at": posting.effective_at,
                "settled_at": None,
                "ended_at": None,
            }
        )
    at = posting.recorded_at
    if posting.kind in {"offset", "write_off"}:
        owed = [
            charge
            for charge in derived.charges
            if charge["meter_id"] == posting.meter_id and charge["state"] == "owed"
        ]
        for charge in owed[: next(e.amount for e in entries if e.account == "arrears")]:
            if posting.kind == "offset":
                charge.update(state="funded", package_id=package_id, settled_at=at)
            else:
                charge.update(state="written_off", ended_at=at)
    if posting.kind == "reversal":
        for charge in derived.charges:
            if charge["examination_id"] == posting.examination_id and charge["ended_at"] is None:
                charge.update(state="reversed", ended_at=at)


def _turn_clock(derived: Derived, last: Row[Any]) -> None:
    """At the end of a transaction: an episode is open if and only if something is owed."""
    owed = derived.balances[last.meter_id]["owed"]
    open_ones = [
        episode
        for episode in derived.episodes
        if episode["meter_id"] == last.meter_id and episode["closed_at"] is None
    ]
    if owed > 0 and not open_ones:
        derived.episodes.append(
            {
                "meter_id": last.meter_id,
                "started_at": last.effective_at,
                "deadline": last.effective_at + DAY,
                "closed_at": None,
            }
        )
    if owed == 0:
        for episode in open_ones:
            episode["closed_at"] = last.recorded_at


def _write(connection: Connection, derived: Derived) -> None:
    for meter_id in connection.execute(select(t.meters.c.id)).scalars().all():
        active = connection.execute(
            select(t.packages.c.quantity).where(
                t.packages.c.meter_id == meter_id,
                t.packages.c.ended_at.is_(None),
                t.packages.c.activated_at.is_not(None),
            )
        ).scalars()
        values = {**derived.balances[meter_id], "active_quantity": sum(active)}
        connection.execute(update(t.meters).where(t.meters.c.id == meter_id).values(values))
    for package_id in connection.execute(select(t.packages.c.id)).scalars().all():
        connection.execute(
            update(t.packages)
            .where(t.packages.c.id == package_id)
            .values(remaining=derived.remaining[package_id])
        )
    # Row by row and in order, so that the numbers the rows get are the ones they had.
    for charge in derived.charges:
        connection.execute(insert(t.charges), charge)
    known = connection.execute(select(t.episodes.c.id).order_by(t.episodes.c.id)).scalars().all()
    for episode_id, episode in zip(known, derived.episodes, strict=True):
        moves = t.episode_moves.c
        moved = select(moves.started_at, moves.deadline).where(moves.episode_id == episode_id)
        for move in connection.execute(moved.order_by(moves.id)):
            episode.update(started_at=move.started_at, deadline=move.deadline)
        connection.execute(update(t.episodes).where(t.episodes.c.id == episode_id).values(episode))
