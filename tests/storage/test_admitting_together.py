"""Several new examinations in one transaction: told what each alone would be, for less (ADM-2)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from quota import correction
from quota.account import Plan
from quota.action import By
from quota.admission import RefusalReason, Refused
from quota.ledger import GRACE
from storage import registry
from storage.admitting import Asked, Overtaken, Pinned
from storage.admitting_together import admit_together
from storage.sqlite import SqliteDatabase
from tests.quota.makers import HOUR
from tests.storage.hospital import Instance, Site
from tests.storage.kit import HandClock, add_account, counted, dump, reading, top_up
from tests.storage.test_capacity import buy

ME = By(actor="ann", reason="request 7")


def asking(site: Site, *instances: Instance) -> list[Asked]:
    """As the gateway asks for them."""
    return [
        Asked(incoming=each.incoming(site.device), proposed_id=f"exam-{site.account.id}-{each.sop}")
        for each in instances
    ]


def new(first: int, count: int) -> list[Instance]:
    """The first instances of so many studies."""
    return [Instance(sop=f"{n}.1", study=f"{n}.0") for n in range(first, first + count)]


def together(site: Site, *instances: Instance) -> Sequence[Pinned | Refused | None]:
    """Ask for all at once; commit where any was pinned, as the gateway does."""
    with site.ledger.begin() as work:
        answers = admit_together(work, asking(site, *instances))
        assert not isinstance(answers, Overtaken)
        if any(isinstance(answer, Pinned) for answer in answers):
            work.commit()
    return answers


def test_each_is_charged_to_the_package_that_expires_first_and_then_owed(
    site: Site, clock: HandClock
) -> None:
    """BURN, ADM-3: two packages of one and two units, five examinations; the clock starts once."""
    top_up(site.ledger, site.account, "SO-1", 1)
    clock.at += HOUR
    top_up(site.ledger, site.account, "SO-2", 2)
    clock.at += HOUR

    answers = together(site, *new(1, 5))

    admissions = [one.admission for one in answers if isinstance(one, Pinned)]
    charges = [one.charge for one in admissions if one is not None and one.charge is not None]
    first, second = (charges[0].package_id, charges[1].package_id)
    assert None not in {first, second} and first != second
    assert [one.package_id for one in charges] == [first, second, second, None, None]
    assert {one.charged_at for one in charges} == {clock.at}, "one T (TIME-1)"
    meter = reading(site.ledger, site.account).meter
    assert (meter.available, meter.owed, meter.consumed) == (0, 2, 5)
    assert meter.episode is not None and meter.episode.started_at == clock.at
    assert sorted(row.charge or "" for row in site.examinations()) == ["funded"] * 3 + ["owed"] * 2


def test_what_was_owed_together_is_paid_off_in_the_order_of_asking(
    site: Site, clock: HandClock
) -> None:
    """§3: the oldest debt first, also where all are of one instant."""
    top_up(site.ledger, site.account, "SO-1", 1)
    together(site, *new(1, 4))
    clock.at += HOUR

    top_up(site.ledger, site.account, "SO-2", 2)

    standing = {row.study_instance_uid: row.charge for row in site.examinations()}
    assert standing == {"1.0": "funded", "2.0": "funded", "3.0": "funded", "4.0": "owed"}


def test_where_all_are_refused_nothing_is_written(site: Site, clock: HandClock) -> None:
    """ADM-2, also of a meter that nobody has used."""
    before = dump(site.ledger)
    assert [type(one) for one in together(site, *new(1, 3))] == [Refused] * 3
    assert dump(site.ledger) == before

    top_up(site.ledger, site.account, "SO-1", 1)
    together(site, *new(1, 2))
    clock.at += GRACE + HOUR
    before = dump(site.ledger)

    answers = together(site, *new(3, 3))

    reasons = [one.reason for one in answers if isinstance(one, Refused)]
    assert reasons == [RefusalReason.GRACE_OVER] * 3
    assert dump(site.ledger) == before


def test_those_beyond_the_cap_are_refused_and_the_others_stand(site: Site) -> None:
    """STATE-6: each is decided on what those before it have left."""
    top_up(site.ledger, site.account, "SO-1", 1)
    with site.ledger.begin() as work:
        correction.cap_arrears(work, work.account(site.account.id), cap=2, by=ME)
        work.commit()

    answers = together(site, *new(1, 5))

    assert [type(one) for one in answers] == [Pinned] * 3 + [Refused] * 2
    assert len(site.examinations()) == reading(site.ledger, site.account).meter.consumed == 3


def test_what_is_known_or_asked_for_twice_is_left_to_be_asked_for_alone(site: Site) -> None:
    """KEY-1, KEY-2: by instance, study or key, on record or a moment before in the line."""
    top_up(site.ledger, site.account, "SO-1", 20)
    site.send(Instance(sop="1.1", study="1.0", key="accession:1"))
    known = [
        Instance(sop="1.1", study="other"),
        Instance(sop="1.2", study="1.0", key="accession:other"),
        Instance(sop="1.3", study="another", key="accession:1"),
    ]
    twice = [
        Instance(sop="2.1", study="2.0", key="accession:2"),
        Instance(sop="2.2", study="2.0", key="accession:more"),
        Instance(sop="2.3", study="2.9", key="accession:2"),
        Instance(sop="2.1", study="2.8", key="accession:most"),
    ]

    answers = together(site, *known, *twice, *new(3, 1))

    kinds = [None if one is None else type(one) for one in answers]
    assert kinds == [None, None, None, Pinned, None, None, None, Pinned]
    assert reading(site.ledger, site.account).meter.consumed == 3


def test_one_that_is_charged_already_has_nobody_charged(site: Site) -> None:
    """ADM-3: a charge is an examination's once; whoever asked together asks alone then."""
    top_up(site.ledger, site.account, "SO-1", 20)
    first, second = asking(site, *new(1, 2))
    together(site, *new(1, 1))
    with site.ledger.begin() as work:
        again = Asked(incoming=second.incoming, proposed_id=first.proposed_id)

        assert isinstance(admit_together(work, [again, *asking(site, *new(3, 1))]), Overtaken)

    assert reading(site.ledger, site.account).meter.consumed == 1
    assert len(site.examinations()) == 1


def test_one_of_a_device_that_is_not_on_record_is_no_failure_of_the_others(site: Site) -> None:
    """After a restore of the database, say: whoever leads would be told of another's device."""
    top_up(site.ledger, site.account, "SO-1", 20)
    good, bad = asking(site, *new(1, 2))
    bad = replace(bad, incoming=replace(bad.incoming, device_id=site.device.id + 1))
    with site.ledger.begin() as work:
        assert isinstance(admit_together(work, [good, bad]), Overtaken)
    assert reading(site.ledger, site.account).meter.consumed == 0


def test_more_of_them_cost_no_more_statements(site: Site) -> None:
    """Every statement is time in which nobody else is admitted."""
    top_up(site.ledger, site.account, "SO-1", 100)
    together(site, *new(1, 2))
    seen = {}
    for count in (2, 20):
        with counted(site.ledger) as statements:
            together(site, *new(10 * count, count))
        seen[count] = len(statements)

    one_by_one = isinstance(site.ledger.database, SqliteDatabase)
    assert seen[2] == seen[20] <= (14 if one_by_one else 15)


def test_bytes_are_admitted_without_a_charge(site: Site, tmp_path: Path) -> None:
    """CAP-1: on the capacity plan an admission moves nothing."""
    account = add_account(site.ledger, "Bytes", plan=Plan.PER_CAPACITY)
    hospital = Site(site.ledger, account, tmp_path / "other", name="Bytes")
    assert [type(one) for one in together(hospital, *new(1, 2))] == [Refused] * 2
    buy(site.ledger, account, "SO-1")

    answers = together(hospital, *new(1, 3))

    admissions = [one.admission for one in answers if isinstance(one, Pinned)]
    assert [one is not None and one.charge for one in admissions] == [None] * 3
    assert len(hospital.examinations()) == 3


def test_an_institution_that_was_moved_meanwhile_has_nobody_charged(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§13: what was read before the lock decides nothing; where writers are alone there is none."""
    if isinstance(site.ledger.database, SqliteDatabase):
        pytest.skip("nobody writes until this ends")
    other = add_account(site.ledger, "South")
    top_up(site.ledger, site.account, "SO-1", 5)
    top_up(site.ledger, other, "SO-2", 5)
    read = registry.payer
    looked = threading.Event()

    def payer(work: object, institution_id: int) -> object:
        account = read(work, institution_id)  # type: ignore[arg-type]
        if not looked.is_set():
            looked.set()
            with site.ledger.begin() as mover:
                registry.move_institution(mover, institution_id, account_id=other.id, by=ME)
                mover.commit()
        return account

    monkeypatch.setattr(registry, "payer", payer)
    with site.ledger.begin() as work:
        assert isinstance(admit_together(work, asking(site, *new(1, 2))), Overtaken)
    assert reading(site.ledger, site.account).meter.consumed == 0

    assert [type(one) for one in together(site, *new(1, 2))] == [Pinned] * 2
    assert reading(site.ledger, other).meter.consumed == 2
