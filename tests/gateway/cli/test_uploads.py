"""`tollgate exam` and `tollgate refusal`: what arrived, what did not, and no patient in lists."""

from __future__ import annotations

import pytest

from tests.gateway.cli.conftest import PATIENT, Cli


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """An account with 1,000 examinations bought."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    return tollgate


def test_examinations_are_listed_the_newest_first(hospital: Cli) -> None:
    """Every field of the contract; the latest on top; instants in UTC."""
    hospital.upload(examinations=2)
    listed = hospital.json("exam", "list")
    assert [one["id"] for one in listed] == ["exam-1", "exam-0"]
    first = listed[0]
    assert first.pop("admitted_at").endswith("Z")
    assert first.pop("retained_until").startswith("2041-")
    assert first == {
        "id": "exam-1",
        "institution": "East",
        "account": "Lakeside",
        "device": "CT1",
        "study_instance_uid": "1.2.1",
        "accession": "ACC1",
        "modality": "CT",
        "study_date": "20261122",
        "state": "receiving",
        "instances": 1,
        "bytes": 1_999_999,
        "missing": 0,
        "charge": "funded",
        "package_id": 1,
        "completed_at": None,
        "deleted_at": None,
    }


def test_lists_name_no_patient(hospital: Cli) -> None:
    """Names and patient ids stay out of lists, whatever their form."""
    hospital.upload(examinations=1)
    hospital.refuse(number=7)
    for noun in ("exam", "refusal"):
        for arguments in ((), ("--json",)):
            said = hospital.ok(noun, "list", *arguments)
            assert "P-4711" not in said
            assert "Zhang" not in said
            assert "Thorax" not in said


def test_one_examination_is_shown_with_its_patient(hospital: Cli) -> None:
    """By id or by Study Instance UID; what a terminal would obey is written as an escape."""
    hospital.upload(examinations=1)
    shown = hospital.json("exam", "show", "exam-0")
    assert (shown["patient_name"], shown["patient_id"]) == (PATIENT, "P-4711")
    assert shown["study_description"] == "Thorax\x1b[31m"
    assert shown["series"] == [
        {
            "study_instance_uid": "1.2.0",
            "series_instance_uid": "1.2.0.1",
            "instances": 1,
            "bytes": 1_999_999,
        }
    ]
    assert (shown["findings"], shown["quarantined"]) == ([], [])
    for terminal in (False, True):
        said = hospital.ok("exam", "show", "1.2.0", terminal=terminal)
        assert PATIENT in said
        assert "Thorax\\x1b[31m" in said
        assert "1.9 MB" in said
        assert "funded by package 1" in said


def test_an_unknown_examination_is_an_error(hospital: Cli) -> None:
    """Exit status 1 and where to look."""
    assert "tollgate exam list" in hospital.refused("exam", "show", "1.2.3")


def test_examinations_of_one_institution_are_listed(hospital: Cli) -> None:
    """The filter takes a name or an id; another institution's list is empty."""
    hospital.ok("institution", "create", "West", "--account", "1")
    hospital.upload(examinations=1)
    assert len(hospital.json("exam", "list", "--institution", "East")) == 1
    assert hospital.json("exam", "list", "--institution", "2") == []


def test_a_limit_says_that_there_is_more(hospital: Cli) -> None:
    """Whoever sees a part is told so, beside the result; a whole list says nothing."""
    hospital.upload(examinations=3)
    result = hospital.run("exam", "list", "--limit", "2", "--json")
    assert result.stdout.count("exam-") == 2
    assert "the latest 2" in result.stderr
    assert hospital.run("exam", "list", "--limit", "3").stderr == ""
    assert "--limit" in hospital.refused("exam", "list", "--limit", "0", status=2)


def test_refusals_are_listed_with_what_is_missing(hospital: Cli) -> None:
    """Exactly the fields of the contract; open ones alone on demand."""
    hospital.refuse(number=7, hours_ago=1)
    listed = hospital.json("refusal", "list")
    assert listed[0].pop("first_at") == listed[0].pop("last_at")
    assert listed == [
        {
            "institution": "East",
            "device": "CT1",
            "study_instance_uid": "1.2.7",
            "accession": "ACC7",
            "reason": "grace_over",
            "refused": 1,
            "missing": 1,
            "resolved_at": None,
        }
    ]
    assert "grace over" in hospital.ok("refusal", "list", "--open")


def test_a_refusal_closes_when_its_instance_arrives(hospital: Cli) -> None:
    """The examination shows as incomplete until then; afterwards `--open` shows nothing."""
    hospital.refuse(number=0)
    hospital.upload(examinations=1)
    resolved = hospital.json("refusal", "list", "--institution", "East")
    assert resolved[0]["missing"] == 0
    assert resolved[0]["resolved_at"].endswith("Z")
    assert hospital.json("refusal", "list", "--open") == []
    assert "nothing is missing" in hospital.run("refusal", "list", "--open").stderr


def test_a_narrow_terminal_keeps_what_matters(hospital: Cli) -> None:
    """Optional columns give way before a table breaks its lines; ids stay whole."""
    hospital.upload(examinations=1)
    wide = hospital.ok("exam", "list", terminal=True, width=200)
    assert "study instance UID" in wide
    narrow = hospital.ok("exam", "list", terminal=True, width=100)
    assert "study instance UID" not in narrow
    assert "exam-0" in narrow
    assert max(map(len, narrow.splitlines())) <= 100 + len("\x1b[1m\x1b[0m") * 20
