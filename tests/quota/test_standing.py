"""Status: the seven states of quota.md §6, at each of their borders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.ledger import GRACE, Episode
from quota.standing import Standing, Status, low_threshold
from tests.quota.makers import NOON, a_standing

DEADLINE = NOON


@pytest.mark.parametrize(
    "standing, at, status",
    [
        (a_standing(closed=True, free=500), NOON, Status.CLOSED),
        (a_standing(closed=True, provisioned=False), NOON, Status.CLOSED),
        (a_standing(closed=True, owed=1, deadline=DEADLINE), DEADLINE, Status.CLOSED),
        (a_standing(provisioned=False), NOON, Status.UNPROVISIONED),
        (a_standing(owed=1, deadline=DEADLINE), DEADLINE - 86_400_000_000, Status.ARREARS),
        (a_standing(owed=1, deadline=DEADLINE), DEADLINE - 1, Status.ARREARS),
        (a_standing(owed=1, deadline=DEADLINE), DEADLINE, Status.SUSPENDED),
        (a_standing(owed=1, deadline=DEADLINE), DEADLINE + 1, Status.SUSPENDED),
        (a_standing(owed=10**9, deadline=DEADLINE), DEADLINE - 1, Status.ARREARS),
        (a_standing(free=0), NOON, Status.EMPTY),
        (a_standing(free=0, low_threshold=0), NOON, Status.EMPTY),
        (a_standing(free=1), NOON, Status.LOW),
        (a_standing(free=100), NOON, Status.LOW),
        (a_standing(free=101), NOON, Status.OK),
        (a_standing(free=1, low_threshold=0), NOON, Status.OK),
    ],
)
def test_each_border_of_the_states_belongs_to_one_side(
    standing: Standing, at: int, status: Status
) -> None:
    """The table of §6: grace holds for T < deadline, LOW up to and with its threshold."""
    assert standing.status(at) is status


@pytest.mark.parametrize(
    "active_quantity, threshold", [(0, 0), (9, 0), (10, 1), (1_000, 100), (3_000, 300)]
)
def test_low_begins_at_ten_percent_of_the_active_packages(
    active_quantity: int, threshold: int
) -> None:
    """The threshold is a whole number of units, rounded down: no float near a balance (UNIT-1)."""
    assert low_threshold(active_quantity) == threshold


def test_the_grace_is_exactly_24_hours() -> None:
    """TIME-6: 86,400 s after the start, to the microsecond."""
    episode = Episode.starting(NOON)

    assert GRACE == 86_400_000_000
    assert episode.started_at == NOON
    assert episode.deadline == NOON + 86_400_000_000


@given(
    provisioned=st.booleans(),
    closed=st.booleans(),
    free=st.integers(0, 300),
    owed=st.integers(0, 3),
    threshold=st.integers(0, 200),
    offset=st.sampled_from([-GRACE, -2, -1, 0, 1, 2, GRACE]),
)
def test_exactly_one_row_of_the_table_applies(
    *, provisioned: bool, closed: bool, free: int, owed: int, threshold: int, offset: int
) -> None:
    """The rows of §6, written as independent conditions, agree with the status everywhere."""
    free = 0 if owed else free
    at = DEADLINE + offset
    standing = a_standing(
        provisioned=provisioned,
        closed=closed,
        free=free,
        owed=owed,
        low_threshold=threshold,
        deadline=DEADLINE if owed else None,
    )
    live = provisioned and not closed
    rows = {
        Status.CLOSED: closed,
        Status.UNPROVISIONED: not provisioned and not closed,
        Status.SUSPENDED: live and owed > 0 and at >= DEADLINE,
        Status.ARREARS: live and owed > 0 and at < DEADLINE,
        Status.EMPTY: live and owed == 0 and free == 0,
        Status.LOW: live and owed == 0 and 0 < free <= threshold,
        Status.OK: live and owed == 0 and free > threshold,
    }

    assert [status for status, applies in rows.items() if applies] == [standing.status(at)]
