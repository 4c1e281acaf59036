"""The shapes of `--json` for what the ledger's lists show; instants as in `documents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from quota.account import AI_PREFIX
from quota.time import Instant, isoformat

if TYPE_CHECKING:
    from quota.action import Action
    from quota.hold import Hold
    from storage.reports_ledger import EpisodeRow, HoldRow, NoticeRow, PostingRow

Document: TypeAlias = dict[str, Any]


def hold_document(hold: Hold | HoldRow, *, account: str, product: str) -> Document:
    """One hold; `packages` only where one hold was asked for."""
    document = {
        "key": hold.key,
        "account": account,
        "product": product.removeprefix(AI_PREFIX),
        "units": hold.units,
        "state": hold.state.value,
        "posted": hold.posted,
        "held_at": _text(hold.held_at),
        "expires_at": _text(hold.expires_at),
        "settled_at": _text(hold.settled_at),
    }
    shares = getattr(hold, "shares", None)
    if shares is not None:
        document["packages"] = [
            {"package_id": one.package.id, "units": one.units, "unlimited": one.package.unlimited}
            for one in shares
        ]
    return document


def episode_document(row: EpisodeRow) -> Document:
    """One episode of arrears."""
    return {
        "meter": row.meter,
        "started_at": _text(row.started_at),
        "deadline": _text(row.deadline),
        "closed_at": _text(row.closed_at),
    }


def notice_document(row: NoticeRow, account: str) -> Document:
    """One notice."""
    notice = row.notice
    return {
        "id": row.id,
        "kind": notice.kind.value,
        "account": account,
        "account_id": notice.account_id,
        "meter": notice.meter,
        "raised_at": _text(notice.raised_at),
        "delivered_at": _text(row.delivered_at),
        "details": {
            name: _text(value)
            if name in {"deadline", "expires_at"} and isinstance(value, int) and value
            else value
            for name, value in notice.details.items()
        },
    }


def posting_document(row: PostingRow) -> Document:
    """One posting with its entries."""
    return {
        "id": row.id,
        "account_id": row.account_id,
        "meter": row.meter,
        "kind": row.kind,
        "effective_at": _text(row.effective_at),
        "recorded_at": _text(row.recorded_at),
        "examination_id": row.examination_id,
        "order_no": row.order_no,
        "hold_key": row.hold_key,
        "entries": [
            {"account": leg.account, "package_id": leg.package_id, "amount": leg.amount}
            for leg in row.entries
        ],
    }


def action_document(action: Action) -> Document:
    """One act of an operator."""
    return {
        "acted_at": _text(action.acted_at),
        "actor": action.actor,
        "action": action.action,
        "subject": action.subject,
        "reason": action.reason,
    }


def _text(instant: Instant | None) -> str | None:
    return None if instant is None else isoformat(instant)
