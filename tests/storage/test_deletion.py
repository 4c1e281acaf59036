"""Deleting an examination: bytes freed, charge kept, objects after the commit (CAP-2, ADM-5)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from quota import service
from quota.account import CAPACITY, EXAM
from quota.time import to_datetime
from storage import tables as t
from storage.admitting import Pinned
from storage.deletion import (
    Deleted,
    Retained,
    delete_examination,
    delete_objects,
    objects_to_delete,
)
from storage.errors import NotFound
from storage.filing import Discarded, Filed
from tests.quota.makers import DAY
from tests.storage.hospital import Site, examination_of, numbered
from tests.storage.kit import HandClock, top_up


def delete(site: Site, examination_id: str, *, override: bool = True) -> Deleted | Retained:
    """Delete and commit where something was deleted."""
    with site.ledger.begin() as work:
        result = delete_examination(
            work, examination_id, actor="ann", reason="request 7", override=override
        )
        if isinstance(result, Deleted):
            work.commit()
    return result


def stored_bytes(site: Site) -> int:
    """The account's level."""
    with site.ledger.read() as view:
        return service.read_meter(view, site.account, CAPACITY).used


def owed_and_used(site: Site) -> tuple[int, int]:
    """What is owed, and what is used and paid for."""
    with site.ledger.read() as view:
        reading = service.read_meter(view, site.account, EXAM)
    return reading.owed, reading.used


def test_deleting_frees_the_bytes_and_keeps_the_charge(site: Site) -> None:
    """CAP-2: the level falls by what was stored; the charge's history stays."""
    top_up(site.ledger, site.account, "SO-1", 5)
    first = numbered(3)
    examination_id = examination_of(site.send_all(*first)[0])
    assert stored_bytes(site) == sum(len(one.content) for one in first)

    result = delete(site, examination_id)

    assert result == Deleted(
        examination_id=examination_id, instances=3, bytes=sum(len(one.content) for one in first)
    )
    assert stored_bytes(site) == 0
    assert owed_and_used(site) == (0, 1)
    row = site.examination(examination_id).row
    assert (row.instances, row.bytes, row.charge) == (0, 0, "funded")
    assert row.deleted_at is not None


def test_uploaded_again_it_is_stored_and_not_charged_again(site: Site) -> None:
    """ADM-5: the charge stands, so the same examination comes back for nothing."""
    top_up(site.ledger, site.account, "SO-1", 5)
    instances = numbered(2)
    examination_id = examination_of(site.send_all(*instances)[0])
    delete(site, examination_id)

    outcomes = site.send_all(*instances)

    assert all(isinstance(outcome, Filed) for outcome in outcomes)
    assert {examination_of(outcome) for outcome in outcomes} == {examination_id}
    assert owed_and_used(site) == (0, 1)
    assert site.examination(examination_id).row.deleted_at is None


def test_objects_go_after_the_commit_and_only_those(site: Site) -> None:
    """What was uploaded again lies in another generation, out of the queue's reach."""
    top_up(site.ledger, site.account, "SO-1", 5)
    instances = numbered(2)
    examination_id = examination_of(site.send_all(*instances)[0])
    delete(site, examination_id)
    site.send_all(*instances)
    with site.ledger.read() as view:
        queued = objects_to_delete(view, limit=10)
    assert len(queued) == 2
    assert all(site.archive.path(key).exists() for _, key in queued)

    with site.ledger.begin() as work:
        delete_objects(work, site.archive, queued)
        work.commit()

    assert not any(site.archive.path(key).exists() for _, key in queued)
    with site.ledger.read() as view:
        assert objects_to_delete(view, limit=10) == []
        keys = view.connection.execute(select(t.instances.c.object_key)).scalars().all()
    assert all(site.archive.path(key).exists() for key in keys)


def test_retention_is_kept_unless_overridden(site: Site, clock: HandClock) -> None:
    """§8: until admission and the package's storage years; then without an override."""
    top_up(site.ledger, site.account, "SO-1", 5)
    examination_id = examination_of(site.send_all(*numbered(1))[0])

    kept = delete(site, examination_id, override=False)

    assert isinstance(kept, Retained)
    assert kept.until is not None
    assert to_datetime(kept.until).year == to_datetime(clock.at).year + 15
    assert site.examination(examination_id).row.instances == 1
    clock.at = kept.until + DAY
    assert isinstance(delete(site, examination_id, override=False), Deleted)


def test_who_and_why_are_journaled(site: Site) -> None:
    """STATE-6: every override names its operator and a reason."""
    top_up(site.ledger, site.account, "SO-1", 5)
    examination_id = examination_of(site.send_all(*numbered(1))[0])

    delete(site, examination_id)

    with site.ledger.read() as view:
        row = view.connection.execute(select(t.operator_actions)).one()
    assert (row.actor, row.action, row.subject, row.reason) == (
        "ann",
        "exam_delete",
        examination_id,
        "request 7",
    )


def test_nothing_is_deleted_twice(site: Site) -> None:
    """The second deletion finds nothing, and frees nothing."""
    top_up(site.ledger, site.account, "SO-1", 5)
    examination_id = examination_of(site.send_all(*numbered(1))[0])
    delete(site, examination_id)

    with pytest.raises(NotFound):
        delete(site, examination_id)


def test_what_came_before_a_deletion_and_is_filed_after_it_is_discarded(site: Site) -> None:
    """A record of a deleted generation: gone with the others, and journaled."""
    top_up(site.ledger, site.account, "SO-1", 5)
    first, second = numbered(2)
    examination_id = examination_of(site.send(first))
    late = site.ready(second)
    delete(site, examination_id)

    (outcome,) = site.file(*site.put(late))

    assert outcome == Discarded(examination_id=examination_id)
    assert stored_bytes(site) == 0
    with site.ledger.read() as view:
        actions = view.connection.execute(select(t.operator_actions.c.action)).scalars().all()
    assert actions[-2:] == ["exam_delete", "record_discard"]


def test_what_comes_after_a_deletion_is_filed_though_the_pin_is_older(
    site: Site, clock: HandClock
) -> None:
    """It was acknowledged after the deletion, by somebody who had not heard of it yet."""
    top_up(site.ledger, site.account, "SO-1", 5)
    first, second = numbered(2)
    examination_id = examination_of(site.send(first))
    pinned = site.admit(second)
    assert isinstance(pinned, Pinned)
    delete(site, examination_id)
    clock.at += DAY
    late = site.arrival(second, pinned)

    (outcome,) = site.file(*site.put(late))

    assert isinstance(outcome, Filed)
    assert (stored_bytes(site), owed_and_used(site)) == (len(second.content), (0, 1))


def test_what_is_set_aside_again_is_out_of_the_queues_reach(site: Site) -> None:
    """It was answered 0x0000 a second time: the first one's removal must not take it along."""
    top_up(site.ledger, site.account, "SO-1", 5)
    first = numbered(1)[0]
    other = replace(first, content=b"other bytes")
    examination_id = examination_of(site.send_all(first, other)[0])
    delete(site, examination_id)
    assert [type(one).__name__ for one in site.send_all(first, other)] == ["Filed", "SetAside"]
    with site.ledger.read() as view:
        queued = objects_to_delete(view, limit=10)
    with site.ledger.begin() as work:
        delete_objects(work, site.archive, queued)
        work.commit()

    with site.ledger.read() as view:
        (key,) = view.connection.execute(select(t.conflicts.c.object_key)).scalars().all()
    assert site.archive.path(key).read_bytes() == b"other bytes"
