"""The tables. Instants are µs since the epoch in UTC, sizes bytes, units by the meter."""

from __future__ import annotations

from sqlalchemy import Table

from storage.tables.archive import (
    conflicts,
    deleted_objects,
    examination_findings,
    examination_studies,
    examinations,
    instances,
    refusals,
    refused_instances,
)
from storage.tables.common import metadata
from storage.tables.holding import anchors, hold_shares, holds, notices
from storage.tables.ledger import (
    charges,
    entries,
    episode_moves,
    episodes,
    level_moves,
    meters,
    order_lines,
    orders,
    packages,
    postings,
)
from storage.tables.registry import (
    accounts,
    device_networks,
    device_sop_classes,
    devices,
    institutions,
    operator_actions,
)
from storage.tables.sales import (
    consortia,
    consortium_members,
    institution_tokens,
    licences,
    services,
)
from storage.tables.scrubbing import archive_rounds, damaged_objects
from storage.tables.spooling import ledger_clock, spool_pending, spools

__all__ = [
    "Table",
    "accounts",
    "anchors",
    "archive_rounds",
    "charges",
    "conflicts",
    "consortia",
    "consortium_members",
    "damaged_objects",
    "deleted_objects",
    "device_networks",
    "device_sop_classes",
    "devices",
    "entries",
    "episode_moves",
    "episodes",
    "examination_findings",
    "examination_studies",
    "examinations",
    "hold_shares",
    "holds",
    "instances",
    "institution_tokens",
    "institutions",
    "ledger_clock",
    "level_moves",
    "licences",
    "metadata",
    "meters",
    "notices",
    "operator_actions",
    "order_lines",
    "orders",
    "packages",
    "postings",
    "refusals",
    "refused_instances",
    "services",
    "spool_pending",
    "spools",
]
