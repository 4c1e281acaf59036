"""Anchors: the journal only grows, and a change behind the database's back is seen (19)."""

from __future__ import annotations

from storage.anchors import anchor_journal
from storage.ledger import SqlLedger
from tests.storage.kit import add_account, admit, dump, failed, top_up, verified
from tests.storage.past import Copy


def anchor(ledger: SqlLedger) -> None:
    """The keeper's daily act."""
    with ledger.begin() as work:
        anchor_journal(work)
        work.commit()


def test_a_journal_that_grows_agrees_with_its_anchors(copy: Copy) -> None:
    """What comes after an anchor is no change of what was before it."""
    anchor(copy.ledger)
    account = add_account(copy.ledger, "South")
    top_up(copy.ledger, account, "SO-9", 1_000)
    admit(copy.ledger, account, "exam-1")
    anchor(copy.ledger)

    assert verified(copy.ledger).ok


def test_a_change_that_no_balance_shows_is_seen(copy: Copy) -> None:
    """Two entries swapped, a time rewritten: sums agree, the digest does not."""
    anchor(copy.ledger)

    copy.corrupt("UPDATE postings SET hold_key = 'x' WHERE id = 3")

    assert failed(verified(copy.ledger)) == {19}


def test_a_journal_cut_off_at_its_end_is_seen(copy: Copy) -> None:
    """A restored backup that lacks the last charge is no smaller journal, but a broken one."""
    anchor(copy.ledger)

    copy.corrupt("DELETE FROM entries WHERE posting_id = 16", "DELETE FROM postings WHERE id = 16")

    assert 19 in failed(verified(copy.ledger))


def test_an_unchanged_journal_gets_no_second_anchor(copy: Copy) -> None:
    """An idle gateway does not fill its database with anchors."""
    anchor(copy.ledger)
    before = dump(copy.ledger)

    anchor(copy.ledger)

    assert dump(copy.ledger) == before
