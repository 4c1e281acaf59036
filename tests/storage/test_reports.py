"""Reports: what operators and staff look up is what was filed."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage import reports
from tests.quota.makers import HOUR
from tests.storage.hospital import QUIET, Instance, Site, admitted, examination_of, numbered
from tests.storage.kit import HandClock, top_up


@pytest.fixture
def paid(site: Site, clock: HandClock) -> Site:
    """A hospital with one unit."""
    top_up(site.ledger, site.account, "SO-1", 1)
    clock.at += HOUR
    return site


def test_an_examination_is_shown_with_its_charge(paid: Site, clock: HandClock) -> None:
    """Funded, owed, and funded by the top-up: always the charge as it stands."""
    first = paid.send(Instance(sop="1.1", study="1.0"))
    clock.at += HOUR
    second = paid.send(Instance(sop="2.1", study="2.0"))

    newest, oldest = paid.examinations()
    assert (newest.id, newest.charge, newest.package_id) == (examination_of(second), "owed", None)
    assert (oldest.id, oldest.charge, oldest.package_id) == (examination_of(first), "funded", 1)
    assert newest.admitted_at == admitted(second).admitted_at

    top_up(paid.ledger, paid.account, "SO-2", 1)
    newest, _ = paid.examinations()
    assert (newest.charge, newest.package_id) == ("funded", 2)


def test_a_row_tells_where_it_came_from(paid: Site) -> None:
    """Names, and the description of the first instance."""
    paid.send(Instance(sop="1.1", study="1.0", patient=b"P-7"))

    (row,) = paid.examinations()

    assert (row.institution, row.account, row.device) == ("North Hospital", "North", "CT-1")
    assert (row.study_instance_uid, row.accession, row.patient_id) == ("1.0", "A-1", "P-7")
    assert (row.modality, row.study_date, row.missing) == ("CT", "20250310", 0)


def test_examinations_are_listed_newest_first_up_to_a_limit(paid: Site, clock: HandClock) -> None:
    """A limit on everything, and the same order at equal instants."""
    sent = []
    for n in range(4):
        sent.append(examination_of(paid.send(Instance(sop=f"{n}.1", study=f"{n}.0"))))
        clock.at += HOUR

    with paid.ledger.read() as view:
        found = reports.examinations(view, limit=3)

    assert [row.id for row in found] == sent[:0:-1]


def test_a_hospital_sees_its_own_examinations(paid: Site, tmp_path: Path) -> None:
    """Filtered by institution, or all of them."""
    other = Site(paid.ledger, paid.account, tmp_path / "other", name="South")
    paid.send(Instance(sop="1.1"))
    other.send(Instance(sop="1.1"))

    assert [row.institution for row in paid.examinations()] == ["North Hospital"]
    assert [row.institution for row in other.examinations()] == ["South"]
    with paid.ledger.read() as view:
        assert len(reports.examinations(view, limit=9)) == 2


def test_an_examination_is_found_by_its_id_or_by_its_study(paid: Site) -> None:
    """Any of its Study Instance UIDs will do."""
    name = examination_of(paid.send(Instance(sop="1.1", study="1.0", key="accession:A")))
    paid.send(Instance(sop="1.2", study="2.0", key="accession:A"))

    assert {paid.examination(key).row.id for key in (name, "1.0", "2.0")} == {name}
    with paid.ledger.read() as view:
        assert reports.examination(view, "9.9") is None


def test_a_study_of_two_hospitals_names_neither(paid: Site, tmp_path: Path) -> None:
    """A Study Instance UID that is two examinations is no answer: the id is."""
    other = Site(paid.ledger, paid.account, tmp_path / "other", name="South")
    mine, theirs = (site.send(Instance(sop="1.1")) for site in (paid, other))

    with paid.ledger.read() as view:
        assert reports.examination(view, "1.2.3") is None
    assert paid.examination(examination_of(mine)).row.institution == "North Hospital"
    assert paid.examination(examination_of(theirs)).row.institution == "South"


def test_a_detail_sums_up_its_series(paid: Site) -> None:
    """Instances and bytes per series add up to the examination's."""
    instances = numbered(3)
    outcome = paid.send_all(*instances, Instance(sop="8.1", study="1.2.4", key="study:1.2.3"))[0]

    detail = paid.examination(examination_of(outcome))

    assert [(series.study_instance_uid, series.instances) for series in detail.series] == [
        ("1.2.3", 3),
        ("1.2.4", 1),
    ]
    assert sum(series.bytes for series in detail.series) == detail.row.bytes
    assert sum(series.instances for series in detail.series) == detail.row.instances == 4


def test_refusals_are_listed_up_to_a_limit(paid: Site, clock: HandClock) -> None:
    """The latest entries, open ones alone if asked for."""
    for n in range(3):
        paid.register(*numbered(1, study=f"{n}.0"), at=clock.at + n)

    with paid.ledger.read() as view:
        found = reports.refusals(view, limit=2)

    assert [row.study_instance_uid for row in found] == ["2.0", "1.0"]


def test_a_report_shows_one_instant(paid: Site, clock: HandClock) -> None:
    """The state is the snapshot's, by the ledger's clock."""
    paid.send(Instance(sop="1.1"))
    clock.at += QUIET

    assert [row.state for row in paid.examinations()] == ["complete"]
