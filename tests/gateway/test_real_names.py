"""Names in many scripts, as real devices label and mislabel them: readable in one place only."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.durability.site import document, ready
from tests.gateway.test_real_files import folder
from tests.harness import RunningGateway
from tests.peers import peer

CHARSET_FILES = folder("pydicom", "data/charset_files")
NAMES = {
    "chrArab.dcm": "قباني^لنزار",
    "chrFren.dcm": "Buc^Jérôme",
    "chrGerm.dcm": "Äneas^Rüdiger",
    "chrGreek.dcm": "Διονυσιος",
    "chrH31.dcm": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "chrH32.dcm": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "chrHbrw.dcm": "שרון^דבורה",
    "chrI2.dcm": "Hong^Gildong=洪^吉洞=홍^길동",
    "chrJapMulti.dcm": "やまだ^たろう",
    "chrKoreanMulti.dcm": "김희중",
    "chrRuss.dcm": "Люкceмбypг",
    "chrX1.dcm": "Wang^XiaoDong=王^小東",
    "chrX2.dcm": "Wang^XiaoDong=王^小东",
}
LABELS = ("GBK", "GB2312", "ISO_IR 100", "ISO_IR 192", "", "NONSENSE")
"""What the GB18030 name of chrX2.dcm is labelled with, wrongly, by real devices."""


def study_of(path: Path) -> str:
    """The Study Instance UID, read by DCMTK."""
    said = subprocess.run(
        [peer("dcmdump"), "+P", "StudyInstanceUID", path], capture_output=True, check=True
    )
    return said.stdout.split(b"[")[1].split(b"]")[0].decode("ascii")


def labelled(path: Path, label: str, number: int) -> Path:
    """A copy of chrX2.dcm in a study of its own, whose name's bytes are labelled otherwise."""
    shutil.copy(CHARSET_FILES / "chrX2.dcm", path)
    changes = ("-i", f"(0008,0005)={label}", "-m", f"(0020,000d)=1.2.826.0.1.77.{number}")
    subprocess.run(
        [peer("dcmodify"), "-nb", "-gin", *changes, path], check=True, capture_output=True
    )
    return path


@pytest.mark.slow
@pytest.mark.peer
def test_names_in_all_scripts_are_shown_and_told_to_nobody_else(tmp_path: Path) -> None:
    """Chinese in GB18030, UTF-8 and GBK among them; no name in a log line or a metric."""
    expected = {CHARSET_FILES / name: text for name, text in NAMES.items()}
    for number, label in enumerate(LABELS):
        expected[labelled(tmp_path / f"{number}.dcm", label, number)] = NAMES["chrX2.dcm"]
    debug = {"TOLLGATE_LOG__LEVEL": "debug"}
    with RunningGateway(ready(tmp_path / "data"), environment=debug) as gateway:
        assert gateway.storescu(*expected).returncode == 0
        shown = {
            path: document(gateway.data_dir, "exam", "show", study_of(path)) for path in expected
        }
        metrics = gateway.http("/metrics")
        assert gateway.stop() == 0
    assert {path: exam["patient_name"] for path, exam in shown.items()} == expected
    told = "\n".join(json.dumps(line, ensure_ascii=False) for line in gateway.log)
    for text in (metrics, told, gateway.errors):
        for name in expected.values():
            parts = [part for part in name.replace("=", "^").split("^") if len(part) > 1]
            assert [part for part in parts if part in text] == []
