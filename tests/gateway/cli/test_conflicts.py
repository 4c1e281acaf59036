"""`tollgate conflict`: what was set aside is listed, and decided on with who and why."""

from __future__ import annotations

import json

import pytest

from tests.gateway.cli.conftest import PATIENT, Cli
from tests.gateway.cli.uploads import instance, upload


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """One instance on record, and a longer one set aside."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    upload(tollgate, instance(1), b"first")
    upload(tollgate, instance(1), b"second, longer")
    return tollgate


def test_nothing_set_aside_is_said(tollgate: Cli) -> None:
    """An empty list, and why it is empty."""
    tollgate.hospital()

    assert tollgate.json("conflict", "list") == []
    assert "nothing is set aside" in tollgate.run("conflict", "list").output


def test_a_conflict_is_listed_without_a_patient(hospital: Cli) -> None:
    """Every field of the contract; sizes of both."""
    (one,) = hospital.json("conflict", "list")

    assert one["bytes"] - one["filed_bytes"] == len("second, longer") - len("first")
    assert one.pop("set_aside_at").endswith("Z")
    assert one.pop("filed_at").endswith("Z")
    assert {name: one[name] for name in one if not name.endswith("bytes")} == {
        "id": 1,
        "institution": "East",
        "device": "CT1",
        "account": "Lakeside",
        "examination_id": "exam-1.2.0",
        "sop_instance_uid": "1.2.0.1.1",
        "kind": "conflict",
    }
    assert PATIENT not in hospital.ok("conflict", "list")


def test_an_accepted_newcomer_takes_the_place(hospital: Cli) -> None:
    """The examination grows by the difference; the ledger and the archive stay whole."""
    before = hospital.json("exam", "list")[0]["bytes"]

    answer = hospital.json("conflict", "accept", "1", "--reason", "corrected", "--actor", "li")

    assert answer == {
        "conflict_id": 1,
        "examination_id": "exam-1.2.0",
        "sop_instance_uid": "1.2.0.1.1",
        "resolution": "accepted",
        "grown_bytes": 9,
    }
    assert hospital.json("exam", "list")[0]["bytes"] == before + 9
    assert hospital.json("conflict", "list") == []
    assert hospital.json("verify")["ok"]


def test_a_discarded_newcomer_changes_nothing_on_record(hospital: Cli) -> None:
    """Said in one line."""
    before = hospital.json("exam", "list")

    said = hospital.ok("conflict", "discard", "1", "--reason", "a test")

    assert "conflict 1 is discarded" in said
    assert hospital.json("exam", "list") == before
    assert hospital.json("verify")["ok"]


@pytest.mark.parametrize("verb", ["accept", "discard"])
def test_a_decision_needs_a_conflict_and_a_reason(hospital: Cli, verb: str) -> None:
    """Unknown numbers and empty reasons are told in a line, and nothing is decided."""
    unknown = hospital.run("conflict", verb, "4711", "--reason", "x", "--json")
    empty = hospital.run("conflict", verb, "1", "--reason", " ")

    assert unknown.exit_code == 1
    assert "there is no conflict 4711" in json.loads(unknown.stderr)["error"]
    assert empty.exit_code == 2
    assert len(hospital.json("conflict", "list")) == 1
