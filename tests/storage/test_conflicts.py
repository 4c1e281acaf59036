"""What was set aside: accepted in the first one's place, discarded, or gone with time."""

# tidy: long because the helpers of one subject would be shared by two files

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select

from quota.account import CAPACITY
from quota.action import By
from quota.order import Rejected
from quota.service import read_meter
from storage import tables as t
from storage.conflict_report import ConflictRow, conflicts
from storage.conflicts import (
    Expired,
    Limits,
    Resolution,
    Resolved,
    accept,
    discard,
    expire,
)
from storage.deletion import delete_examination, delete_objects, objects_to_delete
from storage.errors import NotFound
from storage.filing import Deferred, Filed, Same, SetAside
from tests.quota.makers import DAY
from tests.storage.hospital import JPEG, Instance, Site, examination_of, numbered
from tests.storage.kit import HandClock, failed, top_up, verified

BY = By(actor="li", reason="the modality sent it wrong at first")
SMALL_PACKAGES = 12
FOREVER = 10_000 * DAY


@pytest.fixture
def first(site: Site) -> Instance:
    """An instance on record."""
    top_up(site.ledger, site.account, "SO-1", 5)
    instance = Instance(sop="1.2.3.9.1", content=b"first")
    site.send(instance)
    return instance


def waiting(site: Site) -> Sequence[ConflictRow]:
    """What waits for a decision."""
    with site.ledger.read() as view:
        return conflicts(view, limit=100)


def decide(site: Site, newcomer: int, resolution: Resolution) -> Resolved | Rejected:
    """Accept or discard and commit."""
    with site.ledger.begin() as work:
        decided = (accept if resolution is Resolution.ACCEPTED else discard)(work, newcomer, by=BY)
        work.commit()
    return decided


def clear_queue(site: Site) -> None:
    """What the keeper does next."""
    with site.ledger.begin() as work:
        delete_objects(work, site.archive, objects_to_delete(work, limit=100))
        work.commit()


def sound(site: Site) -> bool:
    """Whether every invariant holds, objects included, before and after the queue is cleared."""
    found = failed(verified(site.ledger, archive_root=site.archive.root))
    clear_queue(site)
    return found | failed(verified(site.ledger, archive_root=site.archive.root)) <= {SMALL_PACKAGES}


def stored(site: Site) -> int:
    """The account's level in bytes."""
    with site.ledger.read() as view:
        return read_meter(view, site.account, CAPACITY).used


def journal(site: Site) -> list[tuple[str, str, str]]:
    """Who did what, and why."""
    with site.ledger.read() as view:
        rows = view.connection.execute(select(t.operator_actions).order_by(t.operator_actions.c.id))
        return [(row.actor, row.action, row.reason) for row in rows]


def key_of(site: Site) -> str:
    """The key of the one instance on record."""
    with site.ledger.read() as view:
        return str(view.connection.execute(select(t.instances.c.object_key)).scalar_one())


def test_what_waits_is_listed_with_both_sizes(site: Site, first: Instance) -> None:
    """Kind, sizes, when; nothing once it is decided."""
    site.send(replace(first, content=b"second, longer"))
    site.send(replace(first, syntax=JPEG))

    variant, conflict = waiting(site)

    assert (conflict.kind, variant.kind) == ("conflict", "variant")
    assert (conflict.bytes, conflict.filed_bytes) == (14, 5)
    assert conflict.sop_instance_uid == first.sop
    assert conflict.institution == site.institution.name
    decide(site, conflict.id, Resolution.DISCARDED)
    assert [row.id for row in waiting(site)] == [variant.id]
    assert len(site.examination(variant.examination_id).quarantined) == 1


@pytest.mark.parametrize("content", [b"second, longer", b"2nd"])
def test_an_accepted_newcomer_takes_the_place(site: Site, first: Instance, content: bytes) -> None:
    """Its bytes are counted instead of the first one's, in the same transaction (CAP-1, CAP-2)."""
    second = replace(first, content=content)
    site.send(second)
    (row,) = waiting(site)
    before = stored(site)

    decided = decide(site, row.id, Resolution.ACCEPTED)

    assert decided == Resolved(
        conflict_id=row.id,
        examination_id=row.examination_id,
        sop_instance_uid=first.sop,
        resolution=Resolution.ACCEPTED,
        grown_bytes=len(content) - 5,
    )
    assert stored(site) - before == len(content) - 5
    assert site.examination(row.examination_id).row.bytes == len(content)
    assert waiting(site) == []
    assert sound(site)
    objects = [
        info.key for folder in ("objects", "quarantine") for info in site.archive.list(folder)
    ]
    assert len(objects) == 1
    assert site.archive.path(objects[0]).read_bytes() == content
    assert journal(site) == [("li", "conflict_accept", BY.reason)]


def test_both_contents_are_known_after_the_decision(site: Site, first: Instance) -> None:
    """A device that sends either of them again every night changes nothing."""
    second = replace(first, content=b"second")
    site.send(second)
    decide(site, waiting(site)[0].id, Resolution.ACCEPTED)

    assert [type(one) for one in site.send_all(first, second)] == [Same, Same]
    assert waiting(site) == []
    assert isinstance(site.send(replace(first, content=b"third")), SetAside)
    assert sound(site)


def test_a_discarded_newcomer_is_gone_and_stays_known(site: Site, first: Instance) -> None:
    """The first filed stays; the same newcomer again is not set aside again."""
    second = replace(first, content=b"second")
    site.send(second)
    before = stored(site)

    decide(site, waiting(site)[0].id, Resolution.DISCARDED)

    assert isinstance(site.send(second), Same)
    assert stored(site) == before
    assert sound(site)
    assert list(site.archive.list("quarantine")) == []
    assert site.archive.path(key_of(site)).read_bytes() == b"first"
    assert journal(site) == [("li", "conflict_discard", BY.reason)]


def test_others_are_compared_with_the_accepted_one(site: Site, first: Instance) -> None:
    """What was another transfer syntax is now other bytes, and the other way round."""
    site.send(replace(first, syntax=JPEG))
    site.send(replace(first, syntax=JPEG, content=b"other"))
    site.send(replace(first, content=b"second"))
    by_age = sorted(waiting(site), key=lambda row: row.id)
    assert [row.kind for row in by_age] == ["variant", "variant", "conflict"]

    decide(site, by_age[0].id, Resolution.ACCEPTED)

    assert [row.kind for row in sorted(waiting(site), key=lambda row: row.id)] == [
        "conflict",
        "variant",
    ]
    assert sound(site)


def test_one_newcomer_after_another_may_be_accepted(site: Site, first: Instance) -> None:
    """The level follows every one of them; each object but the last is removed."""
    for content in (b"second", b"the third one"):
        site.send(replace(first, content=content))
    for row in sorted(waiting(site), key=lambda row: row.id):
        decide(site, row.id, Resolution.ACCEPTED)

    assert stored(site) == len(b"the third one")
    assert sound(site)


def test_a_decision_is_made_once(site: Site, first: Instance) -> None:
    """And one that nobody has to make is not found."""
    site.send(replace(first, content=b"second"))
    (row,) = waiting(site)
    decide(site, row.id, Resolution.DISCARDED)

    for resolution in Resolution:
        for number in (row.id, 4711):
            with pytest.raises(NotFound, match=f"conflict {number}"):
                decide(site, number, resolution)
    assert len(journal(site)) == 1


def test_a_newcomer_of_another_examinations_study_is_rejected(site: Site, first: Instance) -> None:
    """KEY-1: a study is one examination's for ever; nothing is written."""
    other = Instance(sop="1.9.9.9.1", study="1.9.9")
    site.send(other)
    site.send(replace(first, study="1.9.9", content=b"second"))
    (row,) = waiting(site)

    with site.ledger.begin() as work:
        decided = accept(work, row.id, by=BY)

    assert isinstance(decided, Rejected)
    assert decided.rule == "KEY-1"
    assert len(waiting(site)) == 1
    assert sound(site)


def test_an_accepted_newcomer_brings_its_series(site: Site, first: Instance) -> None:
    """A corrected study, series or SOP class counts; a new study becomes the examination's."""
    site.send(replace(first, study="1.2.4", content=b"second"))
    decide(site, waiting(site)[0].id, Resolution.ACCEPTED)

    detail = site.examination("1.2.4")
    assert [one.series_instance_uid for one in detail.series] == ["1.2.4.1"]
    assert site.examination("1.2.3").row.id == detail.row.id


def test_a_deleted_examination_takes_its_newcomers_along(site: Site, first: Instance) -> None:
    """Decided or not; a new generation begins without any."""
    for content in (b"second", b"third"):
        site.send(replace(first, content=content))
    rows = waiting(site)
    decide(site, rows[0].id, Resolution.ACCEPTED)
    with site.ledger.begin() as work:
        delete_examination(
            work, rows[0].examination_id, actor="li", reason="request", override=True
        )
        work.commit()

    assert waiting(site) == []
    assert stored(site) == 0
    assert sound(site)
    assert isinstance(site.send(first), Filed)
    assert isinstance(site.send(replace(first, content=b"second")), SetAside)
    assert sound(site)


def test_what_nobody_decided_on_goes_with_age(
    site: Site, first: Instance, clock: HandClock
) -> None:
    """At its age and not before; journaled; a resend is set aside anew."""
    second = replace(first, content=b"second")
    examination_id = examination_of(site.send(second))
    clock.at += 90 * DAY - 1
    assert expired(site, age_max=90 * DAY) == []
    clock.at += 1

    assert expired(site, age_max=90 * DAY) == [
        Expired(examination_id=examination_id, bytes=6, reason="age")
    ]

    assert journal(site) == [("keeper", "conflict_expire", "age")]
    assert sound(site)
    assert isinstance(site.send(second), SetAside)
    assert sound(site)


def test_the_oldest_go_for_room(site: Site, first: Instance, clock: HandClock) -> None:
    """So many that the rest fits."""
    for n in range(5):
        clock.at += DAY
        site.send(replace(first, content=b"x" * 100 + bytes([n])))

    gone = expired(site, bytes_max=250)

    assert [one.reason for one in gone] == ["room"] * 3
    assert len(waiting(site)) == 2
    assert expired(site, bytes_max=250) == []
    assert sound(site)


def test_what_is_queued_for_removal_waits_until_it_is_gone(site: Site, first: Instance) -> None:
    """Set aside anew before the queue was cleared: its object must not go with the first."""
    second = replace(first, content=b"second")
    site.send(second)
    expired(site, bytes_max=0)

    assert isinstance(site.send(second), Deferred)
    assert sound(site)
    assert isinstance(site.send(second), SetAside)
    assert sound(site)
    assert len(list(site.archive.list("quarantine"))) == 1


def test_decisions_on_many_leave_the_ledger_whole(site: Site) -> None:
    """Every second one accepted, the others discarded."""
    top_up(site.ledger, site.account, "SO-1", 5)
    instances = numbered(8)
    site.send_all(*instances)
    for n, instance in enumerate(instances):
        site.send(replace(instance, content=b"y" * (n + 1)))
    for n, row in enumerate(waiting(site)):
        decide(site, row.id, Resolution.ACCEPTED if n % 2 else Resolution.DISCARDED)

    assert sound(site)


def expired(site: Site, *, age_max: int = FOREVER, bytes_max: int = 2**60) -> list[Expired]:
    """One round of the keeper's."""
    with site.ledger.begin() as work:
        gone = expire(work, Limits(age_max=age_max, bytes_max=bytes_max), limit=100)
        work.commit()
    return gone
