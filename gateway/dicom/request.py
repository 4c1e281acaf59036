"""One C-STORE request as it came, and its checks: Checked(incoming) | Failure. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gateway.dicom.access import Accepted
from gateway.dicom.examination import examination_key
from gateway.dicom.header import Identity, identify
from gateway.dicom.negotiation import VERIFICATION_UID
from gateway.dicom.status import Failure
from gateway.dicom.structure import Malformed
from storage.records import Incoming

UID_CHARACTERS_MAX = 64
_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_UID_WITH_LEADING_ZEROS = re.compile(r"[0-9]+(?:\.[0-9]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreCommand:
    """The command set of a C-STORE-RQ (PS3.7 9.3.1.1) and its presentation context.

    UIDs are text without padding, "" where missing, backslashes included where multi-valued.
    """

    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    context_sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreRequest(StoreCommand):
    """A C-STORE-RQ with its data set; nothing in it has been checked.

    `data_set` is empty where there was none. It is valid only while the request is handled: copy
    what is to outlive that.
    """

    data_set: memoryview


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The request is in order, and may be stored."""

    incoming: Incoming


def check_request(request: StoreRequest, *, accepted: Accepted) -> Checked | Failure:
    """Check command, data set and their agreement, in this order; at most about 2 s of CPU.

    PS3.7 9.3.1.1, PS3.4 B.2.3, PS3.5 9.1. Never raises.
    """
    failure = check_command(request, accepted=accepted)
    if failure is not None:
        return failure
    if not request.data_set:
        return Failure.DATA_SET_MISSING
    identity = identify(request.data_set, request.transfer_syntax_uid)
    if isinstance(identity, Malformed):
        return Failure.MALFORMED
    return check_identity(request, identity, accepted=accepted)


# A request's UIDs are checked for the command, the data set and the answer.
@lru_cache(maxsize=1_024)
def is_uid(text: str, *, tolerates_leading_zeros: bool = False) -> bool:
    """PS3.5 9.1: at most 64 digits and dots, no empty component, none with a leading zero."""
    pattern = _UID_WITH_LEADING_ZEROS if tolerates_leading_zeros else _UID
    return len(text) <= UID_CHARACTERS_MAX and pattern.fullmatch(text) is not None


def check_command(command: StoreCommand, *, accepted: Accepted) -> Failure | None:
    """Check a command set against its context, before anything of the data set is read."""
    tolerant = accepted.device.tolerates_leading_zeros
    if not is_uid(command.affected_sop_instance_uid, tolerates_leading_zeros=tolerant):
        return Failure.UID_INVALID
    if not is_uid(command.affected_sop_class_uid, tolerates_leading_zeros=tolerant):
        return Failure.UID_INVALID
    if command.context_sop_class_uid == VERIFICATION_UID or (
        command.affected_sop_class_uid != command.context_sop_class_uid
    ):
        return Failure.SOP_CLASS_MISMATCH
    return None


def check_identity(
    command: StoreCommand, identity: Identity, *, accepted: Accepted
) -> Checked | Failure:
    """Check what a data set says of itself against its command."""
    named = (command.affected_sop_class_uid, command.affected_sop_instance_uid)
    if (identity.sop_class_uid, identity.sop_instance_uid) != named:
        return Failure.UID_MISMATCH
    if not identity.study_instance_uid:
        return Failure.UID_MISMATCH
    tolerant = accepted.device.tolerates_leading_zeros
    if not is_uid(identity.study_instance_uid, tolerates_leading_zeros=tolerant):
        return Failure.UID_INVALID
    # A missing series is let pass: some devices' reports have none, and nothing is filed by it.
    series = identity.series_instance_uid
    if series and not is_uid(series, tolerates_leading_zeros=tolerant):
        return Failure.UID_INVALID
    return Checked(incoming=_incoming(command, identity, accepted))


def _incoming(command: StoreCommand, identity: Identity, accepted: Accepted) -> Incoming:
    device = accepted.device
    return Incoming(
        institution_id=accepted.institution.id,
        device_id=device.id,
        calling_ae_title=device.ae_title,
        examination_key=examination_key(identity, device.grouping),
        study_instance_uid=identity.study_instance_uid,
        series_instance_uid=identity.series_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        sop_instance_uid=identity.sop_instance_uid,
        transfer_syntax_uid=command.transfer_syntax_uid,
        patient_id_raw=identity.patient_id_raw,
        description=identity.description,
    )
