"""`tollgate statement`: a month as a table, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.gateway.cli.conftest import PATIENT, Cli


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """1,000 examinations bought, two of them used."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    tollgate.upload(examinations=2)
    return tollgate


def parsed(written: bytes) -> list[dict[str, str]]:
    """The rows of a CSV, which ends every line as RFC 4180 says."""
    assert written.endswith(b"\r\n")
    assert written.count(b"\n") == written.count(b"\r\n")
    return list(csv.DictReader(io.StringIO(written.decode("utf-8"), newline="")))


def test_the_current_month_is_shown_move_by_move(hospital: Cli) -> None:
    """Opening, purchased, used, closing; examinations, and the bytes that they take."""
    said = hospital.ok("statement", "Lakeside")
    assert "exam  open: the month goes on" in said
    rows = [line.split() for line in said.splitlines()]
    for row in (
        ["opening", "0", "0"],
        ["purchased", "+1,000"],
        ["used", "-2"],
        ["closing", "998", "0"],
        ["closing", "3,999,998"],
    ):
        assert row in rows
    assert "limit" not in said


def test_json_has_every_balance(hospital: Cli) -> None:
    """By meter: opening, moves, closing; the level on capacity."""
    told = hospital.json("statement", "1")
    assert set(told["meters"]) == {"exam", "capacity"}
    exam = told["meters"]["exam"]
    assert (exam["unit"], exam["finality"], exam["level"]) == ("examinations", "open", None)
    assert exam["moves"]["purchased"] == 1000
    assert exam["closing"]["used"] == 2
    assert told["meters"]["capacity"]["level"] == {
        "opening_bytes": 0,
        "added_bytes": 3_999_998,
        "freed_bytes": 0,
        "closing_bytes": 3_999_998,
        "limit_bytes": None,
        "over_limit_bytes": None,
    }


def test_csv_goes_to_a_file_or_to_the_output(hospital: Cli, tmp_path: Path) -> None:
    """The same rows under the same header, whole or not there."""
    target = tmp_path / "november.csv"
    assert hospital.ok("statement", "1", "--csv", str(target)) == ""
    assert [path.name for path in tmp_path.glob("*.csv*")] == [target.name]
    written = parsed(target.read_bytes())
    printed = parsed(hospital.run("statement", "1", "--csv", "-").stdout_bytes)
    assert [row["meter"] for row in printed] == ["exam", "capacity"]
    for row, other in zip(written, printed, strict=True):
        assert row | {"read_at": ""} == other | {"read_at": ""}
    exam = printed[0]
    assert (exam["purchased"], exam["used"], exam["closing_available"]) == ("1000", "2", "998")
    assert (exam["total_used"], exam["limit_bytes"]) == ("2", "")


def test_the_header_of_the_csv_stays(hospital: Cli) -> None:
    """Programs rely on it: a column more comes at the end, and none goes."""
    head, *_ = hospital.run("statement", "1", "--csv", "-").stdout_bytes.split(b"\r\n")
    assert head.decode().startswith(
        "account_id,account,month,timezone,starts_at,ends_at,read_at,meter,unit,finality,"
        "pending_postings,opening_available,opening_held,opening_owed,purchased,used,owed,offset,"
        "reversed,reversed_owed,written_off,held_change,expired,voided,closing_available,"
        "closing_held,closing_owed,total_purchased,total_used,total_expired,total_voided,"
        "total_written_off,opening_bytes,added_bytes,freed_bytes,closing_bytes,limit_bytes,"
        "over_limit_bytes"
    )


def test_lines_name_their_records_and_no_patient(hospital: Cli) -> None:
    """Posting and examination ids, booked instants; they add up to the month."""
    told = hospital.run("statement", "1", "--lines", "--csv", "-").stdout_bytes
    rows = parsed(told)
    assert [(row["source"], row["kind"]) for row in rows] == [
        ("journal", "credit"),
        ("journal", "charge"),
        ("journal", "charge"),
        ("level", "store"),
        ("level", "store"),
    ]
    assert sum(int(row["used"]) for row in rows) == 2
    assert (rows[0]["order_no"], rows[1]["examination_id"]) == ("SO-1", "exam-0")
    assert rows[1]["package_ids"] == "1"
    assert PATIENT.encode() not in told
    assert b"4711" not in told
    listed = hospital.json("statement", "1", "--lines")
    assert [str(line["id"]) for line in listed] == [row["id"] for row in rows]
    assert listed[1]["moves"] == {"used": 1}
    assert "journal 1" in hospital.ok("statement", "1", "--lines")


def test_a_name_with_everything_that_csv_quotes_survives(tollgate: Cli) -> None:
    """Commas, quotes and Chinese characters come back as they were."""
    name = '湖滨医院, "East"; ä'
    tollgate.ok("account", "create", name, "--plan", "per-exam", "--agreement", "7")
    tollgate.buy("SO-1")
    row, *_ = parsed(tollgate.run("statement", "1", "--csv", "-").stdout_bytes)
    assert row["account"] == name


def test_months_that_cannot_be_told_are_refused(hospital: Cli) -> None:
    """Malformed: wrong usage. Not begun: the current one is named. Unknown account: the closest."""
    for month in ("2026-13", "November", "2026-1"):
        said = hospital.refused("statement", "1", "--month", month, status=2)
        assert "write one as 2026-11" in said
    said = hospital.refused("statement", "1", "--month", "2999-01")
    assert "2999-01 has not begun in Asia/Shanghai; the current month is 20" in said
    assert "did you mean 'Lakeside'?" in hospital.refused("statement", "Lakside")
    both = hospital.run("statement", "1", "--json", "--csv", "-")
    assert both.exit_code == 2
    assert "give one of --json and --csv" in both.stderr


def test_a_month_before_the_first_purchase_is_empty(hospital: Cli) -> None:
    """All zeros, and final: nothing can be booked there any more."""
    row, *_ = parsed(
        hospital.run("statement", "1", "--month", "2020-01", "--csv", "-").stdout_bytes
    )
    assert (row["finality"], row["purchased"], row["closing_available"]) == ("final", "0", "0")
    assert hospital.json("statement", "1", "--month", "2020-01", "--lines") == []


def test_nothing_booked_is_said(tollgate: Cli) -> None:
    """An empty state is no error."""
    tollgate.hospital()
    assert "nothing was ever booked" in tollgate.run("statement", "1").stderr
    assert "nothing was booked in" in tollgate.run("statement", "1", "--lines").stderr


def test_a_file_that_cannot_be_written_is_no_traceback(hospital: Cli, tmp_path: Path) -> None:
    """And leaves nothing behind."""
    said = hospital.refused("statement", "1", "--csv", str(tmp_path / "no" / "where.csv"))
    assert "No such file or directory" in said


def test_a_terminal_gets_a_table(hospital: Cli) -> None:
    """With the month, the zone, and how final it is."""
    said = hospital.ok("statement", "1", terminal=True)
    assert "Asia/Shanghai" in said
    assert "purchased" in said
