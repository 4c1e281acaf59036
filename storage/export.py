"""Copies an examination's objects into a folder, each verified on its way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from storage import tables as t
from storage.archive import Archive
from storage.archive.checking import Content, Damage
from storage.errors import ObjectMissing, ObjectUnreadable
from storage.view import SqlView


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One instance to be exported, and the name that we give it."""

    name: str
    """Made of numbers only: no byte from the wire becomes part of a path."""
    sop_instance_uid: str
    object_key: str
    size_bytes: int
    sha256: str
    transfer_syntax_uid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What became of one instance: `damage` says why it was not written."""

    item: Item
    damage: Damage | None


def items(view: SqlView, examination_id: str) -> list[Item]:
    """The instances of an examination, numbered within their series, the oldest series first."""
    rows = view.connection.execute(
        select(t.instances)
        .where(t.instances.c.examination_id == examination_id)
        .order_by(t.instances.c.filed_at, t.instances.c.sop_instance_uid)
    ).all()
    series: dict[str, int] = {}
    counts: dict[str, int] = {}
    found = []
    for row in rows:
        uid = row.series_instance_uid
        number = series.setdefault(uid, len(series) + 1)
        counts[uid] = counts.get(uid, 0) + 1
        found.append(
            Item(
                name=f"series-{number:03}/{counts[uid]:05}.dcm",
                sop_instance_uid=row.sop_instance_uid,
                object_key=row.object_key,
                size_bytes=row.size_bytes,
                sha256=row.sha256,
                transfer_syntax_uid=row.transfer_syntax_uid,
            )
        )
    return found


def export(
    archive: Archive,
    wanted: list[Item],
    folder: Path,
) -> Iterator[Exported]:
    """Write each object into `folder`, under its name only when it was found whole.

    The folder is made; where it holds anything already, FileExistsError: nothing is ever
    replaced. Raises OSError, ArchiveUnavailable.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(folder))
    for item in wanted:
        target = folder / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        yield Exported(item=item, damage=_copy(archive, item, target))


def _copy(archive: Archive, item: Item, target: Path) -> Damage | None:
    partial = target.with_suffix(".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        content = Content(item.transfer_syntax_uid)
        size = 0
        with os.fdopen(descriptor, "wb") as file:
            for chunk in archive.open(item.object_key):
                content.update(chunk)
                file.write(chunk)
                size += len(chunk)
        if size != item.size_bytes:
            return Damage.SIZE
        if content.sha256 != item.sha256:
            return Damage.CONTENT
        partial.rename(target)
    except ObjectMissing:
        return Damage.MISSING
    except ObjectUnreadable:
        return Damage.UNREADABLE
    finally:
        with suppress(OSError):
            partial.unlink()
    return None
