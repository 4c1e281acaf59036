"""What must hold after any accident, read from the database and the archive themselves."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from config import Settings
from gateway.bootstrap import ARCHIVE, open_ledger
from storage.archive import LocalArchive
from storage.verify import verify
from tests.durability.scu import Image
from tests.harness import wait_until


def query(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    """Rows of the gateway's database, beside a running gateway."""
    address = f"file:{data_dir / 'tollgate.sqlite3'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
        return connection.execute(sql).fetchall()


def data_set_of(path: Path) -> bytes:
    """The data set of a Part 10 file: what follows the file meta information."""
    raw = path.read_bytes()
    # PS3.10 7.1: preamble, DICM, then (0002,0000) with the length of what is left of group 2.
    assert raw[128:140] == b"DICM\x02\x00\x00\x00UL\x04\x00", path
    return raw[144 + int.from_bytes(raw[140:144], "little") :]


def objects(data_dir: Path) -> set[str]:
    """The keys of all objects in the archive, filed or not."""
    root = data_dir / ARCHIVE
    return {
        str(path.relative_to(root))
        for folder in ("objects", "quarantine")
        for path in (root / folder).rglob("*")
        if path.is_file()
    }


def filed_objects(data_dir: Path) -> set[str]:
    """The keys of all objects that are on record."""
    sql = "SELECT object_key FROM instances UNION SELECT object_key FROM conflicts"
    return {str(key) for (key,) in query(data_dir, sql)}


def stored(data_dir: Path) -> dict[str, list[bytes]]:
    """Data sets on record by SOP Instance UID: the first filed, then what was set aside."""
    found: dict[str, list[bytes]] = defaultdict(list)
    filed = query(data_dir, "SELECT sop_instance_uid, object_key FROM instances")
    aside = query(data_dir, "SELECT sop_instance_uid, object_key FROM conflicts ORDER BY id")
    for uid, key in [*filed, *aside]:
        found[str(uid)].append(data_set_of(data_dir / ARCHIVE / str(key)))
    return found


def check(data_dir: Path, acknowledged: Iterable[Image]) -> None:
    """Nothing acknowledged is lost or changed; the ledger is whole; nothing lies about.

    Call it when a gateway is running and idle, but for filing what it has acknowledged.
    """
    acknowledged = list(acknowledged)
    wait_until(lambda: not missing(data_dir, acknowledged))
    assert_kept(data_dir, acknowledged)
    assert_charged_once(data_dir)
    # What is on record already passes through here while it is read.
    wait_until(lambda: not list((data_dir / ARCHIVE / "incoming").iterdir()))
    ledger = open_ledger(Settings(data_dir=data_dir))
    with ledger.read() as view:
        report = verify(view, archive=LocalArchive(data_dir / ARCHIVE))
    ledger.database.dispose()
    assert report.ok, report.violations


def missing(data_dir: Path, acknowledged: Iterable[Image]) -> set[str]:
    """What is not on record with its content, by SOP Instance UID."""
    kept = stored(data_dir)
    return {
        image.sop_instance_uid
        for image in acknowledged
        if image.encoded not in kept.get(image.sop_instance_uid, [])
    }


def assert_kept(data_dir: Path, acknowledged: Iterable[Image]) -> None:
    """Every acknowledged image is on record once, byte for byte what was sent."""
    kept = stored(data_dir)
    for image in acknowledged:
        found = kept.get(image.sop_instance_uid, [])
        assert found.count(image.encoded) == 1, (image.sop_instance_uid, len(found))


def assert_charged_once(data_dir: Path) -> None:
    """One charge per examination, no study in two of them.

    One that was admitted a moment before a kill has no instance until it is sent again.
    """
    examinations = Counter(row[0] for row in query(data_dir, "SELECT id FROM examinations"))
    charged = Counter(row[0] for row in query(data_dir, "SELECT examination_id FROM charges"))
    filled = {row[0] for row in query(data_dir, "SELECT examination_id FROM instances")}
    assert charged == examinations
    assert filled <= set(examinations)
    ((used,),) = query(data_dir, "SELECT sum(consumed) FROM meters") or [(0,)]
    assert (used or 0) == len(examinations)


def empty_examinations(data_dir: Path) -> int:
    """How many examinations have no instance."""
    sql = "SELECT count(*) FROM examinations WHERE instances = 0"
    ((count,),) = query(data_dir, sql)
    assert isinstance(count, int)
    return count


def charges_of(data_dir: Path, image: Image) -> int:
    """How many charges the study of an image has."""
    sql = (
        "SELECT x.study_instance_uid FROM charges c JOIN examinations x ON x.id = c.examination_id"
    )
    return [uid for (uid,) in query(data_dir, sql)].count(image.study_instance_uid)
