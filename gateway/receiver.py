"""The receiver: one instance from a checked request to the archive. Resolve, look, put, file.

An answer 0x0000 may be given once `Receiver.receive` has returned, and not before: then the object
is durable, and the rows with its charge are committed.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gateway.dicom import part10
from quota import service
from quota.admission import Refused
from quota.time import Instant
from storage import filing
from storage.archive import Archive
from storage.errors import ArchiveSick, LedgerUnavailable
from storage.examinations import Different, Known, New, Resolution, Same, resolve
from storage.filing import Arrival, Filed, Overtaken, SetAside
from storage.ledger import SqlLedger
from storage.records import Incoming
from storage.refusals import RefusedInstance
from storage.registry import institution

_ATTEMPTS_MAX = 5
"""How often associations may overtake one another on one instance before we answer a failure."""

Receipt: TypeAlias = Filed | SetAside | Same | Refused


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where an instance's object goes."""

    examination_id: str
    object_key: str
    quarantined: bool
    generation: int = 0
    proposed: bool = False
    """Whether the examination's id was made for this attempt, and nobody else can know it."""


class Receiver:
    """Takes instances in. Safe to call from many threads."""

    def __init__(
        self,
        *,
        ledger: SqlLedger,
        archive: Archive,
        register_refusal: Callable[[RefusedInstance], None],
        quiet_period: Instant,
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._register_refusal = register_refusal
        self._quiet_period = quiet_period

    def receive(self, incoming: Incoming, data_set: bytes | memoryview) -> Receipt:
        """Store one instance durably, or refuse it by quota.

        Raises StorageError (disk full, sync failed, ledger unavailable): then nothing is charged,
        and nothing was acknowledged. After a failed sync it always raises, whatever was found:
        this process may not acknowledge anything any more.
        """
        receipt = self._receive(incoming, data_set)
        if self.sick:
            raise ArchiveSick
        return receipt

    @property
    def sick(self) -> bool:
        """Whether a sync of the archive or of the ledger has failed in this process."""
        return self._archive.sick or self._ledger.database.sick

    def _receive(self, incoming: Incoming, data_set: bytes | memoryview) -> Receipt:
        sha256 = part10.digest(incoming.transfer_syntax_uid, data_set)
        for _ in range(_ATTEMPTS_MAX):
            found = self._look(incoming, sha256)
            if isinstance(found, Same):
                return found
            if isinstance(found, Refused):
                return self._refuse(incoming, found)
            place = _place(found, sha256)
            receipt = self._put_and_file(incoming, data_set, sha256, place)
            if isinstance(receipt, Refused):
                return self._refuse(incoming, receipt)
            if not isinstance(receipt, Overtaken):
                return receipt
        raise LedgerUnavailable("associations kept overtaking one another on one instance")

    def _look(self, incoming: Incoming, sha256: str) -> Resolution | Refused:
        """Resolve in a snapshot. A refusal seen here spares the writing; it never admits."""
        with self._ledger.read() as view:
            found = resolve(view, incoming, sha256=sha256)
            if isinstance(found, New):
                owner = institution(view, incoming.institution_id)
                return service.preview(view, view.account(owner.account_id)) or found
            return found

    def _put_and_file(
        self, incoming: Incoming, data_set: bytes | memoryview, sha256: str, place: _Place
    ) -> Filed | SetAside | Same | Refused | Overtaken:
        put = self._archive.put(place.object_key, (part10.header(incoming), data_set))
        arrival = Arrival(
            incoming=incoming,
            examination_id=place.examination_id,
            quarantined=place.quarantined,
            object_key=place.object_key,
            sha256=sha256,
            size_bytes=put.size_bytes,
            fingerprint=put.fingerprint,
            generation=place.generation,
        )
        # If this raises, the COMMIT may have happened: the object stays, and the sender's next
        # attempt finds it on record, or files it.
        with self._ledger.begin() as work:
            if place.object_key not in self._archive.infos([place.object_key]):
                return Overtaken()  # swept as a leftover of the same key, a moment before
            receipt = filing.file(work, arrival, quiet_period=self._quiet_period)
            if isinstance(receipt, Filed | SetAside):
                work.commit()
        # Under an id that was proposed nobody else can have this key. Any other key may by now be
        # the row's of an association that was faster: what stays unfiled there, the sweep removes.
        if place.proposed and not isinstance(receipt, Filed):
            self._archive.discard([place.object_key])
        return receipt

    def _refuse(self, incoming: Incoming, refused: Refused) -> Refused:
        self._register_refusal(
            RefusedInstance(incoming=incoming, reason=refused.reason, at=refused.at)
        )
        return refused


def _place(found: New | Known | Different, sha256: str) -> _Place:
    """A path made of our own ids and a hash: no byte from the wire gets into it."""
    match found:
        case Different(examination_id=examination_id, generation=generation):
            return _Place(
                examination_id=examination_id,
                object_key=f"quarantine/{examination_id}/{generation}/{sha256}.dcm",
                quarantined=True,
                generation=generation,
            )
        case Known(examination_id=examination_id, generation=generation):
            return _Place(
                examination_id=examination_id,
                object_key=f"objects/{examination_id}/{generation}/{sha256}.dcm",
                quarantined=False,
                generation=generation,
            )
        case New():
            proposed = new_examination_id()
            return _Place(
                examination_id=proposed,
                object_key=f"objects/{proposed}/0/{sha256}.dcm",
                quarantined=False,
                proposed=True,
            )


def new_examination_id() -> str:
    """A UUID of version 7 (RFC 9562 5.7): made here without asking anybody, and rising in time.

    Rising keys keep the index of a million examinations warm at one end only.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))
