"""THE table of statuses, held against pynetdicom's and against the rules for comments."""

from __future__ import annotations

import pytest
from pynetdicom.status import GENERAL_STATUS, STATUS_FAILURE, STORAGE_SERVICE_CLASS_STATUS

from gateway.dicom.status import (
    ERROR_COMMENT_CHARACTERS_MAX,
    STORED,
    TABLE,
    Failure,
    Outcome,
    answer_for,
)
from quota.admission import RefusalReason

EVERY: tuple[Outcome, ...] = (*RefusalReason, *Failure)


def test_every_refusal_and_failure_has_its_line_and_no_other_line_exists() -> None:
    """A new reason without a line breaks this test, not a device."""
    assert set(TABLE) == set(EVERY)


@pytest.mark.parametrize("outcome", EVERY)
def test_every_status_is_a_failure_of_the_storage_service(outcome: Outcome) -> None:
    """pynetdicom's table knows each status, and none of them as success or warning."""
    known = GENERAL_STATUS | STORAGE_SERVICE_CLASS_STATUS
    assert known[TABLE[outcome].status][0] == STATUS_FAILURE


@pytest.mark.parametrize("outcome", EVERY)
def test_every_comment_is_ascii_and_fits_into_an_lo(outcome: Outcome) -> None:
    """Error Comment: at most 64 printable ASCII characters, no backslash (PS3.7 Annex E)."""
    comment = TABLE[outcome].comment
    assert 0 < len(comment) <= ERROR_COMMENT_CHARACTERS_MAX
    assert comment.isascii()
    assert comment.isprintable()
    assert "\\" not in comment
    assert TABLE[outcome].clause


@pytest.mark.parametrize("reason", RefusalReason)
def test_a_quota_refusal_is_out_of_resources_and_never_cannot_understand(
    reason: RefusalReason,
) -> None:
    """ADM-6: 0xA700. A Cxxx would tell staff that the image is bad."""
    assert TABLE[reason].status == 0xA700
    assert TABLE[reason].comment.startswith("Refused: ")


def test_the_statuses_are_those_promised_for_bad_input() -> None:
    """One status per kind of bad input, as published; those in 0xCxxx are distinct."""
    statuses = {failure.name: TABLE[failure].status for failure in Failure}
    ours = {name: status for name, status in statuses.items() if status != 0xA700}
    assert ours == {
        "DATA_SET_MISSING": 0xC001,
        "MALFORMED": 0xC002,
        "UID_INVALID": 0x0117,
        "SOP_CLASS_MISMATCH": 0x0122,
        "UID_MISMATCH": 0xA900,
    }


def test_an_answer_says_in_our_words_why_it_is_no_success() -> None:
    """Events and metrics go by the outcome, not by the status."""
    answer = answer_for(Failure.DISK_FULL)
    assert (answer.status, answer.outcome) == (0xA700, Failure.DISK_FULL)
    assert (STORED.status, STORED.comment, STORED.outcome) == (0x0000, "", None)
