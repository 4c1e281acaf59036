"""Brings a spool from another host: its directory moves below this host's root, durable."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from storage.spool import disk as disks
from storage.spool.disk import Disk
from storage.spool.errors import SpoolUnavailable, SpoolUnsuitable
from storage.spool.segment import segments_in

_LOCK = "lock"
_ARRIVING = "arriving-"


def bring(directory: Path, root: Path, *, disk: Disk | None = None) -> Path:
    """Move a spool below `root`; returns where it is then. It is found there already: no change.

    Raises SpoolUnsuitable for what is no spool, SpoolLocked where a process holds it,
    SpoolUnavailable where the disk or another directory of that name is in the way.
    """
    disk = disk or Disk()
    directory = directory.absolute()
    target = root.absolute() / directory.name
    try:
        _refuse_other(directory)
        lock = disks.lock(directory / _LOCK)
        try:
            if target.exists():
                if target.samefile(directory):
                    return target
                raise SpoolUnavailable(f"{target} is there already: look at what it is first")
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _move(directory, target, disk)
        finally:
            os.close(lock)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise SpoolUnavailable(f"the spool {directory} can't be moved to {root} ({why})") from error
    return target


def _refuse_other(directory: Path) -> None:
    if directory.is_symlink() or not directory.is_dir():
        raise SpoolUnsuitable(f"{directory} is no directory")
    try:
        named = str(uuid.UUID(directory.name)) == directory.name
    except ValueError:
        named = False
    if not named:
        raise SpoolUnsuitable(f"{directory} is no spool: its name is no UUID")
    if not (directory / _LOCK).is_file() and not any(segments_in(directory)):
        raise SpoolUnsuitable(f"{directory} is no spool: there is no segment in it")


def _move(directory: Path, target: Path, disk: Disk) -> None:
    """By name on the same volume; else a copy takes the name once all of it is durable."""
    if directory.stat().st_dev == target.parent.stat().st_dev:
        directory.rename(target)
        disk.sync_folder(target.parent)
        disk.sync_folder(directory.parent)
        return
    arriving = target.parent / f"{_ARRIVING}{target.name}"
    if arriving.exists():  # of an earlier try that was cut short
        shutil.rmtree(arriving)
    arriving.mkdir(mode=0o700)
    for path in sorted(directory.iterdir()):
        if path.is_file() and not path.is_symlink():
            _copy(path, arriving / path.name, disk)
    disk.sync_folder(arriving)
    arriving.rename(target)
    disk.sync_folder(target.parent)
    shutil.rmtree(directory)


def _copy(source: Path, copy: Path, disk: Disk) -> None:
    shutil.copyfile(source, copy)
    descriptor = disks.open_file(copy, os.O_RDWR)
    try:
        os.fchmod(descriptor, 0o600)
        disk.sync_file(descriptor)
    finally:
        os.close(descriptor)
