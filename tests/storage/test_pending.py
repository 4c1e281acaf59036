"""Acknowledged bytes that are not filed yet: whose they are, as long as they wait (CAP-1)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import update

from storage import tables as t
from storage.admitting import Pinned
from storage.pending import Waiting, by_account, note_pending, pending_bytes
from storage.spool_register import declare_lost, register
from tests.quota.makers import DAY
from tests.storage.hospital import Instance, Site
from tests.storage.kit import HandClock, add_account, top_up
from tests.storage.operator import ME

SPOOL = "0d8f3f5e-6d0c-4c52-9a53-6f1f3c0b8a11"


def told(site: Site, amounts: Mapping[int, int]) -> Mapping[int, int]:
    """What the register says once a worker has told that."""
    with site.ledger.begin() as work:
        register(work, SPOOL, host="gate-1")
        note_pending(work, SPOOL, amounts)
        work.commit()
    with site.ledger.read() as view:
        return pending_bytes(view)


def test_bytes_are_those_of_the_account_that_admitted_the_examination(site: Site) -> None:
    """§1: also after its institution has moved; what the ledger has not seen is the payer's."""
    top_up(site.ledger, site.account, "SO-1", 5)
    pinned = site.admit(Instance(sop="1.2.3.9.0"))
    assert isinstance(pinned, Pinned)
    other = add_account(site.ledger, "Other")
    institution_id = site.institution.id
    with site.ledger.begin() as work:
        work.connection.execute(update(t.institutions).values(account_id=other.id))
        work.commit()
    ids = (pinned.examination_id, pinned.examination_id, "unseen")
    waiting = [
        Waiting(examination_id=one, institution_id=institution_id, size_bytes=100) for one in ids
    ]

    with site.ledger.read() as view:
        assert by_account(view, waiting) == {site.account.id: 200, other.id: 100}
        assert by_account(view, []) == {}


def test_what_is_told_later_replaces_what_was_told(site: Site) -> None:
    """A level, not a sum; nothing is left once all is filed."""
    assert told(site, {site.account.id: 500}) == {site.account.id: 500}
    assert told(site, {site.account.id: 200}) == {site.account.id: 200}
    assert told(site, {}) == {}


def test_what_a_lost_spool_held_is_pending_no_more(site: Site, clock: HandClock) -> None:
    """It will never be filed."""
    told(site, {site.account.id: 500})
    clock.at += DAY
    with site.ledger.begin() as work:
        declare_lost(work, SPOOL, by=ME)
        work.commit()

    with site.ledger.read() as view:
        assert pending_bytes(view) == {}
