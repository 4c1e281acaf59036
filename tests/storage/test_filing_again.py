"""Filing what was there before, or comes twice at once: set aside, overtaken, the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert

from storage import tables as t
from storage.filing import Deferred, Filed, Same, SetAside
from storage.placing import Difference
from tests.quota.makers import HOUR
from tests.storage.hospital import (
    EXPLICIT,
    JPEG,
    Instance,
    Site,
    numbered,
)
from tests.storage.kit import HandClock, dump, reading, top_up


@pytest.fixture
def paid(site: Site, clock: HandClock) -> Site:
    """A hospital with twenty units."""
    top_up(site.ledger, site.account, "SO-1", 20)
    clock.at += HOUR
    return site


def consumed(site: Site) -> int:
    """How many examinations were charged."""
    return reading(site.ledger, site.account).meter.consumed


@pytest.mark.parametrize(
    "syntax, difference", [(EXPLICIT, Difference.CONFLICT), (JPEG, Difference.VARIANT)]
)
def test_another_content_is_set_aside_and_shown(
    paid: Site, syntax: str, difference: Difference
) -> None:
    """The first filed stays; the newcomer is kept in quarantine, charged to nobody, not counted."""
    original = Instance(sop="1.1")
    paid.send(original)
    newcomer = replace(original, content=b"other pixels", syntax=syntax)

    outcome = paid.send(newcomer)

    assert isinstance(outcome, SetAside)
    detail = paid.examination(outcome.examination_id)
    assert (detail.row.instances, detail.row.bytes) == (1, len(original.content))
    assert [(aside.kind, aside.bytes) for aside in detail.quarantined] == [
        (difference, len(newcomer.content))
    ]
    kept = paid.archive.path(f"quarantine/{outcome.examination_id}/0/{newcomer.sha256}.dcm")
    assert kept.read_bytes() == newcomer.content
    assert consumed(paid) == 1


def test_what_was_set_aside_once_is_known(paid: Site) -> None:
    """§9: the same newcomer again is the same; yet another one is a second conflict."""
    paid.send(Instance(sop="1.1"))
    newcomer = Instance(sop="1.1", content=b"other")
    paid.send(newcomer)

    again = paid.send(newcomer)
    third = paid.send(replace(newcomer, content=b"third"))

    assert isinstance(again, Same)
    assert isinstance(third, SetAside)
    assert len(paid.examination(third.examination_id).quarantined) == 2


def test_an_instance_that_comes_twice_in_a_batch_is_filed_once(paid: Site) -> None:
    """A device that sends twice at once gets 0x0000 twice and one instance."""
    known, instance = numbered(2)
    paid.send(known)

    outcomes = paid.file(*paid.put(paid.ready(instance), paid.ready(instance)))

    assert [type(outcome) for outcome in outcomes] == [Filed, Same]


def test_another_content_in_the_same_batch_is_set_aside(paid: Site) -> None:
    """The first of the batch is filed; the object of the second goes to quarantine at once."""
    first = Instance(sop="9.1")
    newcomer = replace(first, content=b"other")

    outcomes = paid.file(*paid.put(paid.ready(first), paid.ready(newcomer), paid.ready(newcomer)))

    assert [type(outcome) for outcome in outcomes] == [Filed, SetAside, Same]


def test_what_became_another_content_meanwhile_waits_for_its_place(paid: Site) -> None:
    """Placed as new, overtaken by another content: its object is not where it belongs yet."""
    first = Instance(sop="9.1")
    newcomer = replace(first, content=b"other")
    late = paid.ready(newcomer)
    paid.send(first)

    (deferred,) = paid.file(late)

    assert isinstance(deferred, Deferred)
    assert [type(one) for one in paid.file(*paid.put(late))] == [SetAside]


def test_what_counts_on_a_record_that_waits_waits_with_it(paid: Site) -> None:
    """The same again may not be released while what it is the same as is nowhere."""
    late = replace(paid.ready(Instance(sop="9.1")), object_key=None)

    outcomes = paid.file(late, late)

    assert [type(outcome) for outcome in outcomes] == [Deferred, Deferred]


def test_nothing_is_filed_where_an_object_is_about_to_be_removed(paid: Site) -> None:
    """The outbox names the key: the keeper would take the new object along."""
    late = paid.ready(Instance(sop="9.1"))
    with paid.ledger.begin() as work:
        work.connection.execute(
            insert(t.deleted_objects), {"object_key": late.object_key, "deleted_at": work.clock()}
        )
        work.commit()

    assert [type(one) for one in paid.file(late)] == [Deferred]
    assert paid.put(late)[0].object_key is None


def test_a_batch_filed_again_changes_nothing(paid: Site) -> None:
    """§13, unknown outcome of a COMMIT: the keys find the first attempt."""
    first = Instance(sop="1.1")
    batch = paid.put(
        paid.unseen(Instance(sop="4.1", study="4.0")),
        paid.ready(first),
        paid.ready(replace(first, content=b"other")),
    )
    paid.file(*batch)
    after = dump(paid.ledger)

    outcomes = paid.file(*paid.put(*batch))

    assert [type(outcome) for outcome in outcomes] == [Same] * 3
    assert dump(paid.ledger) == after
