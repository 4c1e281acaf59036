"""How a peer can break the protocol so that no answer is possible, and the A-ABORT for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

UNRECOGNIZED_PDU, UNEXPECTED_PDU, INVALID_PARAMETER = 0x01, 0x02, 0x06
"""Reasons of the service provider, source 2 (PS3.8 Table 9-26)."""


class Violation(StrEnum):
    """Why an association is aborted. Stable names for events."""

    PDU_UNRECOGNIZED = "pdu_unrecognized"
    PDU_UNEXPECTED = "pdu_unexpected"
    PDU_TOO_LONG = "pdu_too_long"
    PDU_INVALID = "pdu_invalid"
    TOO_SLOW = "too_slow"
    PDV_EMPTY = "pdv_empty"
    PDV_BEYOND_PDU = "pdv_beyond_pdu"
    COMMAND_SET_TOO_LONG = "command_set_too_long"
    COMMAND_SET_UNREADABLE = "command_set_unreadable"
    COMMAND_WITHIN_DATA_SET = "command_within_data_set"
    DATA_BEFORE_COMMAND = "data_before_command"
    CONTEXT_CHANGED = "context_changed"
    CONTEXT_NOT_ACCEPTED = "context_not_accepted"
    MESSAGE_ID_MISSING = "message_id_missing"
    MESSAGE_TOO_LONG = "message_too_long"
    RESPONSE_UNEXPECTED = "response_unexpected"

    @property
    def reason(self) -> int:
        """Reason of the A-ABORT once an association exists (AA-8); before it is 0/0 (AA-1)."""
        return _REASONS.get(self, INVALID_PARAMETER)


_REASONS: Mapping[Violation, int] = {
    Violation.PDU_UNRECOGNIZED: UNRECOGNIZED_PDU,
    Violation.PDU_UNEXPECTED: UNEXPECTED_PDU,
    Violation.TOO_SLOW: 0x00,
}
