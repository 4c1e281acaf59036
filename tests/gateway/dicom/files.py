"""The real files that pydicom and pydicom-data come with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from pydicom.filereader import dcmread, read_preamble


@dataclass(frozen=True, kw_only=True)
class RealFile:
    """A file of pydicom's collections: its data set as bytes, and how it is written."""

    path: Path
    transfer_syntax_uid: str
    data_set: bytes


@cache
def real_files() -> tuple[RealFile, ...]:
    """Every Part 10 file with a transfer syntax that pydicom and pydicom-data come with."""
    return tuple(file for path in sorted(_paths()) if (file := _real_file(path)) is not None)


@cache
def real_file(name: str) -> RealFile:
    """The file called `name`."""
    file = _real_file(next(path for path in _paths() if path.name == name))
    assert file is not None
    return file


def _paths() -> Iterator[Path]:
    for package, folders in (
        ("data_store", ("data",)),
        ("pydicom", ("data/test_files", "data/charset_files")),
    ):
        spec = find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        for folder in folders:
            yield from Path(next(iter(spec.submodule_search_locations)), folder).rglob("*.dcm")


def _real_file(path: Path) -> RealFile | None:
    raw = path.read_bytes()
    stream = BytesIO(raw)
    if read_preamble(stream, force=True) is None:
        return None
    transfer_syntax = dcmread(path, stop_before_pixels=True).file_meta.get("TransferSyntaxUID")
    length = _meta_length(raw)
    if transfer_syntax is None or length is None:
        return None
    return RealFile(
        path=path, transfer_syntax_uid=str(transfer_syntax), data_set=raw[144 + length :]
    )


def _meta_length(raw: bytes) -> int | None:
    """File Meta Information Group Length (0002,0000), which says where the data set begins."""
    if raw[132:138] != b"\x02\0\0\0UL":
        return None
    return int.from_bytes(raw[140:144], "little")
