"""`tollgate archive check` and `tollgate exam export`: whole or named, never half."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest

from gateway.bootstrap import ARCHIVE
from tests.gateway.cli.conftest import PATIENT, Cli
from tests.gateway.cli.uploads import instance, upload

# A data set of one element in explicit little endian: (0008,0060) CS "CT".
_DATA_SET = b"\x08\x00\x60\x00CS\x02\x00CT"


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """An examination of three instances."""
    tollgate.hospital()
    tollgate.buy("SO-1")
    for number in range(1, 4):
        element = b"\x20\x00\x13\x00IS\x02\x00" + f"{number} ".encode()
        upload(tollgate, instance(number), _DATA_SET + element)
    return tollgate


def objects(tollgate: Cli) -> list[Path]:
    """The files of the archive."""
    return sorted((tollgate.data_dir / ARCHIVE / "objects").rglob("*.dcm"))


def spoil(path: Path) -> None:
    """Flip the last bit."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def test_a_whole_archive_has_no_damage(hospital: Cli) -> None:
    """Before anything was read, and after."""
    assert hospital.json("archive", "check") == {"ok": True, "damaged": [], "round": None}
    assert hospital.json("archive", "check", "--all")["ok"]
    assert "no damage is known" in hospital.ok("archive", "check", "exam-1.2.0")


def test_damage_is_listed_until_it_is_whole_again(hospital: Cli) -> None:
    """Exit status 1; the examination and the kind, no patient."""
    path = objects(hospital)[0]
    content = path.read_bytes()
    spoil(path)

    found = hospital.run("archive", "check", "--all", "--json")

    assert found.exit_code == 1
    (one,) = json.loads(found.stdout)["damaged"]
    assert (one["damage"], one["examination_id"]) == ("content", "exam-1.2.0")
    assert hospital.run("archive", "check").exit_code == 1
    assert PATIENT not in hospital.run("archive", "check").output
    path.write_bytes(content)
    assert hospital.json("archive", "check", "1.2.0")["ok"]
    assert hospital.run("archive", "check", "nothing").exit_code == 1


def test_an_examination_is_exported(hospital: Cli, tmp_path: Path) -> None:
    """Files that pydicom reads, under names of ours; byte for byte what is in the archive."""
    folder = tmp_path / "out"

    answer = hospital.json("exam", "export", "exam-1.2.0", str(folder))

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert [str(path.relative_to(folder)) for path in files] == [
        f"series-001/0000{n}.dcm" for n in (1, 2, 3)
    ]
    assert [one["file"] for one in answer["files"]] == [
        str(path.relative_to(folder)) for path in files
    ]
    assert answer["missing"] == []
    assert {path.read_bytes() for path in files} == {p.read_bytes() for p in objects(hospital)}
    assert [str(pydicom.dcmread(path).InstanceNumber) for path in files] == ["1", "2", "3"]


def test_a_folder_with_something_in_it_is_refused(hospital: Cli, tmp_path: Path) -> None:
    """Nothing is ever replaced, and nothing is written."""
    (tmp_path / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*.dcm"))

    refused = hospital.run("exam", "export", "exam-1.2.0", str(tmp_path))

    assert refused.exit_code == 1
    assert "not an empty folder" in refused.stderr
    assert sorted(tmp_path.rglob("*.dcm")) == before


def test_what_is_damaged_is_named_and_not_written(hospital: Cli, tmp_path: Path) -> None:
    """The others are; no half file is left; exit status 1."""
    missing, spoilt, _ = objects(hospital)
    missing.unlink()
    spoil(spoilt)
    folder = tmp_path / "out"

    result = hospital.run("exam", "export", "exam-1.2.0", str(folder), "--json")

    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert sorted(one["damage"] for one in answer["missing"]) == ["content", "missing"]
    assert len([path for path in folder.rglob("*") if path.is_file()]) == len(answer["files"]) == 1
    assert (
        "1 of 3 instances"
        in hospital.run("exam", "export", "exam-1.2.0", str(tmp_path / "again")).output
    )


def test_a_deleted_examination_has_nothing_to_export(hospital: Cli, tmp_path: Path) -> None:
    """Told in a line; an unknown one as well."""
    hospital.ok("exam", "delete", "exam-1.2.0", "--reason", "request", "--override")

    gone = hospital.run("exam", "export", "exam-1.2.0", str(tmp_path / "out"))
    unknown = hospital.run("exam", "export", "nothing", str(tmp_path / "out"))

    assert (gone.exit_code, unknown.exit_code) == (1, 1)
    assert "it was deleted" in gone.stderr
    assert not (tmp_path / "out").exists()
