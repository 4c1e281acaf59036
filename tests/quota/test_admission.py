"""Admission: which status lets a new examination in (ADM-2), and the reason where none does."""

from __future__ import annotations

import pytest

from quota.admission import Permitted, RefusalReason, Refused, decide
from quota.standing import Standing, Status
from tests.quota.makers import NOON, a_standing


@pytest.mark.parametrize(
    "standing, status",
    [
        (a_standing(free=500), Status.OK),
        (a_standing(free=100), Status.LOW),
        (a_standing(free=0), Status.EMPTY),
        (a_standing(owed=7, deadline=NOON + 1), Status.ARREARS),
    ],
)
def test_four_states_admit_a_new_examination(standing: Standing, status: Status) -> None:
    """OK, LOW, EMPTY and ARREARS admit: care goes on while there is grace."""
    assert decide(standing, at=NOON) == Permitted(status=status)


@pytest.mark.parametrize(
    "standing, reason",
    [
        (a_standing(provisioned=False), RefusalReason.UNPROVISIONED),
        (a_standing(owed=1, deadline=NOON), RefusalReason.GRACE_OVER),
        (a_standing(owed=1, deadline=NOON - 1), RefusalReason.GRACE_OVER),
        (a_standing(closed=True, free=500), RefusalReason.ACCOUNT_CLOSED),
        (a_standing(closed=True, provisioned=False), RefusalReason.ACCOUNT_CLOSED),
    ],
)
def test_three_states_refuse_with_their_reason(standing: Standing, reason: RefusalReason) -> None:
    """UNPROVISIONED gets no grace; SUSPENDED is refused from its deadline on; CLOSED always."""
    assert decide(standing, at=NOON) == Refused(reason=reason, at=NOON)


def test_every_status_is_either_admitted_or_refused() -> None:
    """No status is forgotten when one is added: four admit, the others have a reason each."""
    admitting = {Status.OK, Status.LOW, Status.EMPTY, Status.ARREARS}
    refusing = {Status.CLOSED, Status.UNPROVISIONED, Status.SUSPENDED}

    assert admitting | refusing == set(Status)
    assert len(refusing) == len(RefusalReason)
