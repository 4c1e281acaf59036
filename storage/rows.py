"""Quota's values, made of rows."""

from __future__ import annotations

import json

from sqlalchemy import Row

from quota.account import Account, Plan
from quota.ledger import Episode, Meter
from quota.notice import Notice, NoticeKind
from quota.order import OrderLine
from quota.package import Package


def account_of(row: Row[tuple[object, ...]]) -> Account:
    """An account from its row."""
    return Account(
        id=row.id,
        name=row.name,
        plan=Plan(row.plan),
        agreement_no=row.agreement_no,
        timezone=row.timezone,
        created_at=row.created_at,
        closed_at=row.closed_at,
        arrears_cap=row.arrears_cap,
    )


def meter_of(row: Row[tuple[object, ...]]) -> Meter:
    """A meter with its open episode, from a row that joins the two."""
    episode = None
    if row.deadline is not None:
        episode = Episode(started_at=row.started_at, deadline=row.deadline)
    return Meter(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        last_at=row.last_at,
        purchased=row.purchased,
        available=row.available,
        held=row.held,
        consumed=row.consumed,
        owed=row.owed,
        expired=row.expired,
        voided=row.voided,
        written_off=row.written_off,
        active_quantity=row.active_quantity,
        stored=row.stored,
        episode=episode,
    )


def package_of(row: Row[tuple[object, ...]]) -> Package:
    """A package from its row."""
    return Package(
        id=row.id,
        meter_id=row.meter_id,
        order_line_id=row.order_line_id,
        quantity=row.quantity,
        remaining=row.remaining,
        purchased_at=row.purchased_at,
        effective_at=row.effective_at,
        activated_at=row.activated_at,
        expires_at=row.expires_at,
        credited_at=row.credited_at,
        storage_years=row.storage_years,
        voided_at=row.voided_at,
        ended_at=row.ended_at,
        unlimited=row.unlimited,
    )


def order_line_of(row: Row[tuple[object, ...]]) -> OrderLine:
    """A line of an order from its row."""
    return OrderLine(
        id=row.id,
        meter=row.meter,
        quantity=row.quantity,
        storage_years=row.storage_years,
        years=row.years,
        renews_package_id=row.renews_package_id,
        months=row.months,
        consortium_id=row.consortium_id,
        renews_licence_id=row.renews_licence_id,
    )


def notice_of(row: Row[tuple[object, ...]]) -> Notice:
    """A notice from its row."""
    return Notice(
        account_id=row.account_id,
        kind=NoticeKind(row.kind),
        key=row.key,
        raised_at=row.raised_at,
        meter=row.meter,
        details=json.loads(row.details),
    )
