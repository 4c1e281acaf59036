"""Opening a spool: may this disk hold one, does it keep what it is given, what is there."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from storage.spool import disk as disks
from storage.spool.disk import Disk
from storage.spool.errors import SpoolSick, SpoolUnsuitable
from storage.spool.recovery import recover
from storage.spool.segment import Damage, Segment, seal, segments_in
from storage.spool.segments import Segments

_SICK = "sick"
_READERS = 4
"""Segments read at once: a walk from header to header on a cold disk does little but wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovered:
    """What was found at the opening: records to be filed, torn ones dropped, damage."""

    records: int
    bytes: int
    torn: int
    damages: tuple[Damage, ...]


def make(directory: Path, disk: Disk) -> None:
    """Make the directory if it is not there, durable. Raises SpoolUnsuitable, OSError."""
    try:
        uuid.UUID(directory.name)
    except ValueError:
        raise SpoolUnsuitable(f"{directory} is no spool: its name is no UUID") from None
    if not directory.is_dir():
        directory.mkdir(mode=0o700, parents=True)
        disk.sync_folder(directory.parent)


def half_of_volume(directory: Path) -> int:
    """The limit where none is set, in bytes."""
    status = os.statvfs(directory)
    return status.f_blocks * status.f_frsize // 2


def examine(directory: Path, disk: Disk) -> None:
    """Find out whether the disk keeps what it is given. Raises SpoolSick, OSError.

    Every opening asks, not only one after a failed sync: a disk that fails may not have kept the
    marker that says so. With the marker nothing is read from the cache, which may lie.
    """
    marker = directory / _SICK
    try:
        disks.probe(directory, disk)
    except OSError as error:
        if error.errno in disks.FULL:
            return _examine_full(marker)
        raise SpoolSick(
            f"the spool's disk does not keep what is written ({os.strerror(error.errno or 0)})"
        ) from error
    if marker.exists():
        for path in segments_in(directory):
            disks.forget_cached(path)
        marker.unlink()
        disk.sync_folder(directory)
    return None


def _examine_full(marker: Path) -> None:
    """On a full disk there is no room for the proof; without a failed sync none is owed."""
    if marker.exists():
        raise SpoolSick(
            "a sync failed, and the disk is too full to prove itself: free some room on it"
        )


def mark_sick(directory: Path) -> None:
    """Tell whoever opens the spool next; on a failing disk this may well fail, too."""
    with suppress(OSError):
        os.close(disks.open_file(directory / _SICK, os.O_WRONLY | os.O_CREAT))


def recover_all(directory: Path, segments: Segments, disk: Disk) -> Recovered:
    """Read every segment back. Raises OSError, SpoolUnknown."""
    torn = 0
    with ThreadPoolExecutor(_READERS, thread_name_prefix="spool-open") as readers:
        for segment in readers.map(recover, segments_in(directory)):
            torn += segment.torn
            if segment.unreleased and not segment.sealed:
                _seal(segment, disk)
            segments.adopt(segment)
    return Recovered(
        records=segments.unfiled_records,
        bytes=segments.unfiled_bytes,
        torn=torn,
        damages=tuple(segments.damages()),
    )


def _seal(segment: Segment, disk: Disk) -> None:
    """So that the next opening need not walk it again; no harm if this fails."""
    with suppress(OSError):
        descriptor = disks.open_file(segment.path, os.O_RDWR)
        try:
            seal(segment, descriptor, disk)
        finally:
            os.close(descriptor)
