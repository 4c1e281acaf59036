"""What a host knows without its database: who may send, and how each account stood.

A file, written whole and synced, so that a gateway that is started during an outage still knows
whom to let in (design §7). No patient and no secret is in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quota import admission, service
from quota.standing import Status
from quota.time import Instant
from storage import registry
from storage.records import Device, Grouping, Institution
from storage.view import SqlView

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The registry and the accounts' standings, as they were at `at` by the host's clock."""

    at: Instant
    institutions: tuple[Institution, ...]
    devices: tuple[Device, ...]
    statuses: Mapping[int, Status]
    """By account id, of the meter that its plan enforces."""

    def lets_in(self, institution_id: int, *, at: Instant) -> bool:
        """Whether a new examination may enter without the ledger."""
        for institution in self.institutions:
            if institution.id == institution_id and institution.closed_at is None:
                status = self.statuses.get(institution.account_id, Status.UNPROVISIONED)
                return admission.lets_in_unasked(status, looked_at=self.at, at=at)
        return False


def take(view: SqlView, *, at: Instant) -> Snapshot:
    """Look at everything once."""
    return Snapshot(
        at=at,
        institutions=tuple(registry.institutions(view)),
        devices=tuple(registry.devices(view)),
        statuses={
            account.id: service.read_meter(view, account, account.plan.enforced_meter).status
            for account in view.accounts()
        },
    )


def write(path: Path, snapshot: Snapshot) -> None:
    """Replace the file, durably and as a whole; for its owner only. Raises OSError."""
    content = json.dumps(
        {
            "format": _FORMAT,
            "at": snapshot.at,
            "institutions": [asdict(one) for one in snapshot.institutions],
            "devices": [asdict(one) for one in snapshot.devices],
            "statuses": {str(key): status for key, status in snapshot.statuses.items()},
        }
    )
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> Snapshot | None:
    """The last one written; None where there is none that this version can read."""
    try:
        found = json.loads(path.read_text())
        return _parsed(found) if found["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parsed(found: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        at=int(found["at"]),
        institutions=tuple(Institution(**one) for one in found["institutions"]),
        devices=tuple(_device(one) for one in found["devices"]),
        statuses={int(key): Status(status) for key, status in found["statuses"].items()},
    )


def _device(found: Mapping[str, Any]) -> Device:
    values = {
        **found,
        "grouping": Grouping(found["grouping"]),
        "networks": tuple(found["networks"]),
        "private_sop_classes": tuple(found["private_sop_classes"]),
    }
    return Device(**values)
