"""One C-STORE request as it came, and its checks: Checked(incoming) | Failure. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
class StoreRequest:
    """A C-STORE-RQ (PS3.7 9.3.1.1) with its data set; nothing in it has been checked.

    UIDs are text without padding, "" where missing, backslashes included where multi-valued.
    `data_set` is empty where there was none. It is valid only while the request is handled: copy
    what is to outlive that. `too_large`: the data set exceeded the limit and was dropped.
    """

    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    context_sop_class_uid: str
    transfer_syntax_uid: str
    data_set: memoryview
    too_large: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The request is in order, and may be stored."""

    incoming: Incoming


def check_request(request: StoreRequest, *, accepted: Accepted) -> Checked | Failure:
    """Check command, data set and their agreement, in this order; at most about 2 s of CPU.

    PS3.7 9.3.1.1, PS3.4 B.2.3, PS3.5 9.1. Never raises.
    """
    failure = _check_command(request, accepted)
    if failure is not None:
        return failure
    identity = identify(request.data_set, request.transfer_syntax_uid)
    if isinstance(identity, Malformed):
        return Failure.MALFORMED
    failure = _check_identity(request, identity, accepted)
    if failure is not None:
        return failure
    return Checked(incoming=_incoming(request, identity, accepted))


def is_uid(text: str, *, tolerates_leading_zeros: bool = False) -> bool:
    """PS3.5 9.1: at most 64 digits and dots, no empty component, none with a leading zero."""
    pattern = _UID_WITH_LEADING_ZEROS if tolerates_leading_zeros else _UID
    return len(text) <= UID_CHARACTERS_MAX and pattern.fullmatch(text) is not None


def _check_command(request: StoreRequest, accepted: Accepted) -> Failure | None:
    tolerant = accepted.device.tolerates_leading_zeros
    if not is_uid(request.affected_sop_instance_uid, tolerates_leading_zeros=tolerant):
        return Failure.UID_INVALID
    if not is_uid(request.affected_sop_class_uid, tolerates_leading_zeros=tolerant):
        return Failure.UID_INVALID
    if request.context_sop_class_uid == VERIFICATION_UID or (
        request.affected_sop_class_uid != request.context_sop_class_uid
    ):
        return Failure.SOP_CLASS_MISMATCH
    if request.too_large:
        return Failure.INSTANCE_TOO_LARGE
    if not request.data_set:
        return Failure.DATA_SET_MISSING
    return None


def _check_identity(
    request: StoreRequest, identity: Identity, accepted: Accepted
) -> Failure | None:
    command = (request.affected_sop_class_uid, request.affected_sop_instance_uid)
    if (identity.sop_class_uid, identity.sop_instance_uid) != command:
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
    return None


def _incoming(request: StoreRequest, identity: Identity, accepted: Accepted) -> Incoming:
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
        transfer_syntax_uid=request.transfer_syntax_uid,
        patient_id_raw=identity.patient_id_raw,
        description=identity.description,
    )
