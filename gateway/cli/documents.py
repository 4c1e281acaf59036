"""The shapes of `--json`, in one place: instants are RFC 3339 in UTC, null where absent."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from quota.account import AI_PREFIX, CAPACITY, EXAM, Account, Plan
from quota.time import MICROSECONDS_PER_SECOND, Instant, isoformat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quota.order import Order, OrderLine
    from quota.service import MeterReading
    from storage.conflict_report import ConflictRow
    from storage.packages import Stock
    from storage.records import Device, Institution
    from storage.reports import ExaminationDetail, ExaminationRow, RefusalRow
    from storage.retention import Ended
    from storage.view import SqlView

Document: TypeAlias = dict[str, Any]

_PATIENT = ("patient_id", "patient_name", "study_description")
"""What may name a patient is in `exam show` only."""


def readings(view: SqlView, account: Account) -> dict[str, MeterReading]:
    """The meters of an account that are shown, before the first purchase as well."""
    from quota.service import read_meter
    from storage.reports_ledger import ai_meters

    names = (EXAM, CAPACITY) if account.plan is Plan.PER_CAPACITY else (EXAM,)
    return {
        name: read_meter(view, account, name) for name in (*names, *ai_meters(view, account.id))
    }


def account_document(
    account: Account, meters: Mapping[str, MeterReading], *, pending_bytes: int = 0
) -> Document:
    """One account with its meters; `pending_bytes` of it are acknowledged and not filed yet."""
    return {
        "id": account.id,
        "name": account.name,
        "plan": account.plan.value,
        "agreement_no": account.agreement_no,
        "timezone": account.timezone,
        "created_at": _text(account.created_at),
        "closed_at": _text(account.closed_at),
        "arrears_cap": account.arrears_cap,
        "meters": {name: _meter(reading, pending_bytes) for name, reading in meters.items()},
    }


def account_detail(
    account: Account,
    meters: Mapping[str, MeterReading],
    institutions: Sequence[Institution],
    packages: Sequence[Document],
    episodes: Sequence[Document],
    *,
    more: int,
    pending_bytes: int,
) -> Document:
    """One account with what belongs to it; `more` packages are not among those listed."""
    return account_document(account, meters, pending_bytes=pending_bytes) | {
        "institutions": [{"id": one.id, "name": one.name} for one in institutions],
        "packages": list(packages),
        "packages_more": more,
        "episodes": list(episodes),
    }


def _meter(reading: MeterReading, pending_bytes: int) -> Document:
    episode = reading.meter.episode
    amounts = _level(reading, pending_bytes) if reading.meter.name == CAPACITY else _units(reading)
    if reading.meter.name.startswith(AI_PREFIX):
        amounts["unlimited"] = reading.unlimited
    return {
        "status": reading.status.value,
        **amounts,
        "arrears_since": _text(episode.started_at if episode else None),
        "deadline": _text(episode.deadline if episode else None),
        "time_left_s": _left_s(episode.deadline - reading.at) if episode else None,
    }


def _left_s(left: int) -> int:
    """Whole seconds of the grace that are left, rounded down; 0 once it is over."""
    return max(0, left // MICROSECONDS_PER_SECOND)


def _units(reading: MeterReading) -> Document:
    names = ("available", "used", "owed", "purchased", "expired", "held", "voided")
    return {name: getattr(reading, name) for name in names}


def _level(reading: MeterReading, pending_bytes: int) -> Document:
    return {
        "stored_bytes": reading.used,
        "limit_bytes": reading.meter.limit,
        "free_bytes": reading.available,
        "owed_bytes": reading.owed,
        # Acknowledged and not filed yet, as the workers told within seconds (CAP-1).
        "pending_bytes": pending_bytes,
    }


def package_document(stock: Stock) -> Document:
    """One package as it is now: a boundary that was not booked yet counts (TIME-4)."""
    package = stock.package
    return {
        "id": package.id,
        "order_no": stock.order_no,
        "meter": stock.meter,
        "quantity": package.quantity,
        "remaining": stock.left,
        "unlimited": package.unlimited,
        "state": stock.state.value,
        "purchased_at": _text(package.purchased_at),
        "credited_at": _text(package.credited_at),
        "effective_at": _text(package.effective_at),
        "expires_at": _text(package.expires_at),
        "storage_years": package.storage_years,
    }


def institution_document(institution: Institution, account: str) -> Document:
    """One institution; `account` is the name of who pays."""
    return {
        "id": institution.id,
        "name": institution.name,
        "account": account,
        "account_id": institution.account_id,
        "called_ae_title": institution.called_ae_title,
        "created_at": _text(institution.created_at),
        "closed_at": _text(institution.closed_at),
    }


def device_document(device: Device, institution: str) -> Document:
    """One device; an empty list of networks admits any source."""
    return {
        "id": device.id,
        "ae_title": device.ae_title,
        "institution": institution,
        "institution_id": device.institution_id,
        "networks": list(device.networks),
        "grouping": device.grouping.value,
        "private_sop_classes": list(device.private_sop_classes),
        "tolerates_leading_zeros": device.tolerates_leading_zeros,
        "created_at": _text(device.created_at),
        "closed_at": _text(device.closed_at),
    }


def order_document(order: Order, account: str) -> Document:
    """One order with its lines."""
    return {
        "number": order.number,
        "account": account,
        "account_id": order.account_id,
        "state": order.state.value,
        "institution_id": order.institution_id,
        "lines": [_line(line) for line in order.lines],
        "placed_at": _text(order.placed_at),
        "paid_at": _text(order.paid_at),
        "credited_at": _text(order.credited_at),
        "voided_at": _text(order.voided_at),
    }


def _line(line: OrderLine) -> Document:
    bought = {
        "meter": line.meter,
        "quantity": line.quantity,
        "storage_years": line.storage_years,
        "years": line.years,
        "renews_package_id": line.renews_package_id,
    }
    if line.metered:
        return bought
    return bought | {
        "months": line.months,
        "consortium_id": line.consortium_id,
        "renews_licence_id": line.renews_licence_id,
    }


def examination_document(row: ExaminationRow) -> Document:
    """One examination, without what names the patient."""
    return {name: value for name, value in plain(row).items() if name not in _PATIENT}


def examination_detail(detail: ExaminationDetail) -> Document:
    """One examination with its patient, series, findings and what was set aside."""
    return plain(detail.row) | {
        "series": [plain(one) for one in detail.series],
        "findings": [plain(one) for one in detail.findings],
        "quarantined": [plain(one) for one in detail.quarantined],
    }


def ended_document(row: Ended) -> Document:
    """One examination that need not be kept any longer."""
    return plain(row)


def refusal_document(row: RefusalRow) -> Document:
    """One entry of the register of refusals."""
    return plain(row)


def conflict_document(row: ConflictRow) -> Document:
    """One instance that was set aside and waits for a decision."""
    return plain(row)


def plain(record: Any) -> Document:
    """A flat record as it is, with its instants as text."""
    return {
        name: _text(value) if name.endswith(("_at", "_until")) else value
        for name, value in asdict(record).items()
    }


def instant_text(instant: Instant | None) -> str | None:
    """An instant as RFC 3339 in UTC, or null."""
    return None if instant is None else isoformat(instant)


_text = instant_text
