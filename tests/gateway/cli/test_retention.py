"""`tollgate retention list`: what need not be kept any longer."""

from __future__ import annotations

import pytest

from tests.gateway.cli.conftest import PATIENT, Cli

YEAR_H = 24 * 366


@pytest.fixture
def archive(tollgate: Cli) -> Cli:
    """Three examinations of 16 years ago, one of today."""
    tollgate.hospital()
    tollgate.bought("SO-1", hours_ago=16 * YEAR_H)
    tollgate.upload(examinations=3, hours_ago=16 * YEAR_H - 24)
    tollgate.buy("SO-2")
    tollgate.upload(examinations=1, first=3)
    return tollgate


def test_what_is_over_is_listed_and_may_be_deleted(archive: Cli) -> None:
    """Without an override; what is not listed needs one."""
    listed = archive.json("retention", "list")
    assert [one["id"] for one in listed] == ["exam-2", "exam-1", "exam-0"]
    assert listed[0]["retained_until"] == listed[0]["ended_at"]
    assert "Lakeside" in archive.ok("retention", "list")
    delete = ("exam", "delete", "--actor", "ann", "--reason", "over")
    archive.ok(*delete, "exam-1")
    assert archive.refused(*delete, "exam-3").startswith("RETENTION: ")
    assert [one["id"] for one in archive.json("retention", "list")] == ["exam-2", "exam-0"]


def test_pages_follow_each_other(archive: Cli) -> None:
    """The hint names where to go on, for a program as well; the last page names nothing."""
    first = archive.run("retention", "list", "--limit", "2", "--json")
    assert "--before exam-1" in first.stderr
    last = archive.run("retention", "list", "--limit", "2", "--before", "exam-1", "--json")
    assert '"exam-0"' in last.stdout
    assert last.stderr == ""
    assert "has not ended" in archive.refused("retention", "list", "--before", "exam-3")


def test_filters_are_honoured_and_no_patient_is_named(archive: Cli) -> None:
    """By account and by institution, each by id or name."""
    archive.ok("account", "create", "Hill", "--plan", "per-exam", "--agreement", "8")
    archive.ok("institution", "create", "West", "--account", "Hill")
    assert archive.json("retention", "list", "--account", "Hill") == []
    assert archive.json("retention", "list", "--institution", "West") == []
    found = archive.ok("retention", "list", "--account", "1", "--institution", "East", "--json")
    assert found == archive.ok("retention", "list", "--json")
    assert PATIENT not in found
    assert (
        "no examination's retention" in archive.run("retention", "list", "--account", "Hill").stderr
    )


@pytest.mark.parametrize("years", [1, 7, 15])
def test_the_storage_years_of_an_order_are_the_term_of_its_examinations(
    tollgate: Cli, years: int
) -> None:
    """From `order place --storage-years` through the package to the examination (§8)."""
    tollgate.hospital()
    order = ("--account", "1", "--exams", "1000", "--storage-years", str(years))
    tollgate.ok("order", "place", *order, "--order-no", "SO-1")
    tollgate.ok("order", "pay", "SO-1")
    (package,) = tollgate.json("package", "list")
    assert package["storage_years"] == years
    tollgate.upload(examinations=1)
    shown = tollgate.json("exam", "show", "exam-0")
    kept = int(shown["retained_until"][:4]) - int(shown["admitted_at"][:4])
    assert kept == years
