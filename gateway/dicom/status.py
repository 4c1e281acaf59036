"""THE table: refusal or failure → DIMSE status and Error Comment, each with its clause.

PS3.4 Table B.2-1 and PS3.7 9.1.1.1.9, Annex C. Warnings (0xBxxx) are never sent: what we do not
keep exactly as received we do not acknowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from quota.admission import RefusalReason

ERROR_COMMENT_CHARACTERS_MAX = 64
"""PS3.7 Annex E: LO. A longer one makes some senders drop the whole response."""


class Failure(StrEnum):
    """Why an instance was not stored, other than by quota; stable names for events and metrics."""

    DATA_SET_MISSING = "data_set_missing"
    MALFORMED = "malformed"
    UID_INVALID = "uid_invalid"
    SOP_CLASS_MISMATCH = "sop_class_mismatch"
    UID_MISMATCH = "uid_mismatch"
    INSTANCE_TOO_LARGE = "instance_too_large"
    DISK_FULL = "disk_full"
    SYNC_FAILED = "sync_failed"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    ARCHIVE_UNAVAILABLE = "archive_unavailable"
    INTERNAL = "internal"


Outcome: TypeAlias = Failure | RefusalReason


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreAnswer:
    """Status and Error Comment of a C-STORE-RSP; the comment is ASCII and names no patient.

    `outcome` says in our words why it is no success; None for 0x0000.
    """

    status: int
    comment: str = ""
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of the table. `clause` says where the status is defined."""

    status: int
    comment: str
    clause: str


SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
"""Says "not now", and not "the image is bad": the code for quota and for faults of our own."""
UNRECOGNIZED_OPERATION = 0x0211
PROCESSING_FAILURE = 0x0110
_RESOURCES = "PS3.4 Table B.2-1: Refused: Out of resources"
_CANNOT_UNDERSTAND = "PS3.4 Table B.2-1: Error: Cannot understand"

TABLE: Mapping[Outcome, Line] = {
    RefusalReason.GRACE_OVER: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: quota used up, 24 h grace over. Top up to resume.",
        clause=f"ADM-6; {_RESOURCES}",
    ),
    RefusalReason.UNPROVISIONED: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: no quota was bought yet. Top up to begin.",
        clause=f"ADM-6; {_RESOURCES}",
    ),
    RefusalReason.ACCOUNT_CLOSED: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: the account is closed. Ask the operator.",
        clause=f"ADM-6; {_RESOURCES}",
    ),
    # Codes within 0xCxxx are ours to choose; 0xC2xx to 0xC5xx are used by pynetdicom itself.
    Failure.DATA_SET_MISSING: Line(
        status=0xC001,
        comment="Error: the request came without a data set.",
        clause=_CANNOT_UNDERSTAND,
    ),
    Failure.MALFORMED: Line(
        status=0xC002,
        comment="Error: the data set is truncated or can not be read.",
        clause=_CANNOT_UNDERSTAND,
    ),
    Failure.UID_INVALID: Line(
        status=0x0117,
        comment="Error: a UID is empty, too long or not made of numbers.",
        clause="PS3.7 9.1.1.1.9 and Annex C: Invalid SOP Instance",
    ),
    Failure.SOP_CLASS_MISMATCH: Line(
        status=0x0122,
        comment="Refused: SOP Class is not the presentation context's.",
        clause="PS3.7 9.1.1.1.9 and Annex C: Refused: SOP Class Not Supported",
    ),
    Failure.UID_MISMATCH: Line(
        status=0xA900,
        comment="Error: UIDs missing in the data set or not the command's.",
        clause="PS3.4 Table B.2-1: Error: Data Set does not match SOP Class",
    ),
    Failure.INSTANCE_TOO_LARGE: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: the instance is larger than the gateway accepts.",
        clause=_RESOURCES,
    ),
    Failure.DISK_FULL: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: the gateway's disk is full. Please send again later.",
        clause=_RESOURCES,
    ),
    Failure.SYNC_FAILED: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: the gateway's disk failed. Please send again later.",
        clause=_RESOURCES,
    ),
    Failure.LEDGER_UNAVAILABLE: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: database not available. Please send again later.",
        clause=_RESOURCES,
    ),
    Failure.ARCHIVE_UNAVAILABLE: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: archive not available. Please send again later.",
        clause=_RESOURCES,
    ),
    # Not 0xCxxx, though the standard leaves little else: nobody is to search for a fault in an
    # image that has none.
    Failure.INTERNAL: Line(
        status=OUT_OF_RESOURCES,
        comment="Refused: internal error at the gateway. Please send again.",
        clause=_RESOURCES,
    ),
}

STORED = StoreAnswer(status=SUCCESS)
"""Instance and charge are durable; the only answer that promises anything."""


def answer_for(outcome: Outcome) -> StoreAnswer:
    """The answer to a C-STORE that was refused or failed."""
    line = TABLE[outcome]
    return StoreAnswer(status=line.status, comment=line.comment, outcome=outcome)
