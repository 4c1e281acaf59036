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
from storage.tables.ledger import (
    charges,
    entries,
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

__all__ = [
    "Table",
    "accounts",
    "charges",
    "conflicts",
    "deleted_objects",
    "device_networks",
    "device_sop_classes",
    "devices",
    "entries",
    "episodes",
    "examination_findings",
    "examination_studies",
    "examinations",
    "instances",
    "institutions",
    "level_moves",
    "metadata",
    "meters",
    "operator_actions",
    "order_lines",
    "orders",
    "packages",
    "postings",
    "refusals",
    "refused_instances",
]
