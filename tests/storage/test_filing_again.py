"""Filing what was there before, or comes twice at once: set aside, overtaken, the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.examinations import Difference, Same
from storage.filing import Filed, Overtaken, SetAside
from tests.quota.makers import HOUR
from tests.storage.hospital import (
    EXPLICIT,
    JPEG,
    Instance,
    Site,
    examination_of,
    numbered,
)
from tests.storage.kit import HandClock, reading, top_up


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


def test_whoever_comes_second_resolves_again(paid: Site) -> None:
    """Two associations, one new examination: the second's object lies in the wrong place."""
    one, two = numbered(2)
    proposals = [paid.arrival(instance) for instance in (one, two)]

    first, second = (paid.file(arrival) for arrival in proposals)

    assert isinstance(first, Filed)
    assert isinstance(second, Overtaken)
    assert not paid.archive.path(proposals[1].object_key).exists()
    assert examination_of(paid.send(two)) == first.examination_id
    assert consumed(paid) == 1


def test_an_instance_overtaken_by_itself_is_the_same(paid: Site) -> None:
    """A device that sends twice at once gets 0x0000 twice and one instance."""
    known, instance = numbered(2)
    paid.send(known)
    proposals = [paid.arrival(instance), paid.arrival(instance)]

    outcomes = [paid.file(arrival) for arrival in proposals]

    assert isinstance(outcomes[0], Filed)
    assert isinstance(outcomes[1], Same)
    assert paid.archive.path(proposals[0].object_key).exists()


def test_an_instance_that_became_known_meanwhile_is_not_set_aside_unseen(paid: Site) -> None:
    """An arrival placed as new that turns out to differ goes to quarantine in a second try."""
    known = numbered(1)[0]
    paid.send(known)
    first = Instance(sop="9.1")
    newcomer = replace(first, content=b"other")
    proposals = [paid.arrival(first), paid.arrival(newcomer)]

    paid.file(proposals[0])

    assert isinstance(paid.file(proposals[1]), Overtaken)
    assert isinstance(paid.send(newcomer), SetAside)
