"""Through when a spool is filed, told by a clock that its records do not carry."""

from __future__ import annotations

from storage.spool.watermark import Watermark
from tests.quota.makers import DAY, SECOND

HOST_AHEAD = 400 * DAY


def test_an_empty_spool_is_filed_through_now() -> None:
    """Whatever the host's clock says."""
    assert Watermark(None).look(ledger_now=5, host_now=HOST_AHEAD, oldest=None) == 5


def test_a_mark_is_passed_once_all_that_was_there_is_filed() -> None:
    """The oldest record left is younger than the mark; equal is not younger."""
    watermark = Watermark(None)
    assert watermark.look(ledger_now=100, host_now=1_000, oldest=900) is None
    assert watermark.look(ledger_now=200, host_now=1_100, oldest=1_000) is None
    assert watermark.look(ledger_now=300, host_now=1_200, oldest=1_001) == 100
    assert watermark.look(ledger_now=400, host_now=1_300, oldest=1_250) == 300


def test_a_host_whose_clock_is_ahead_is_not_filed_through_early() -> None:
    """Its records look younger than the ledger's now; they are unfiled all the same."""
    watermark = Watermark(None)
    for second in range(5):
        now = second * SECOND
        oldest = HOST_AHEAD
        assert watermark.look(ledger_now=now, host_now=HOST_AHEAD + now, oldest=oldest) is None


def test_a_clock_set_back_holds_back_until_the_spool_was_empty() -> None:
    """Records received before the step carry a later time than those after it."""
    watermark = Watermark(None)
    watermark.look(ledger_now=100, host_now=HOST_AHEAD, oldest=HOST_AHEAD)
    assert watermark.look(ledger_now=200, host_now=1_000, oldest=900) is None
    assert watermark.look(ledger_now=300, host_now=1_100, oldest=1_050) is None
    assert watermark.look(ledger_now=400, host_now=1_200, oldest=None) == 400
    watermark.look(ledger_now=500, host_now=1_300, oldest=1_250)
    assert watermark.look(ledger_now=600, host_now=1_400, oldest=1_350) == 500


def test_what_an_earlier_process_left_by_a_wrong_clock_is_waited_for() -> None:
    """A record of a future that never came is no younger than a mark."""
    watermark = Watermark(newest_received_at=HOST_AHEAD)
    for now in (100, 200, 300):
        assert watermark.look(ledger_now=now, host_now=1_000 + now, oldest=HOST_AHEAD) is None
    assert watermark.look(ledger_now=400, host_now=1_400, oldest=None) == 400


def test_the_marks_are_bounded_and_the_last_one_is_kept_true() -> None:
    """A spool that does not move for days costs no memory, and no truth."""
    watermark = Watermark(None)
    for n in range(1, 10_000):
        assert watermark.look(ledger_now=n, host_now=n, oldest=1) is None
    assert watermark.look(ledger_now=10_000, host_now=10_000, oldest=9_999) == 4_095
