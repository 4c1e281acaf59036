"""What is there after an accident, compared with what was promised, and counted.

Unlike `evidence` it asserts nothing: seeded bugs must show as numbers.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from config import Settings
from gateway.bootstrap import ARCHIVE, open_ledger
from storage.archive import LocalArchive
from storage.verify import verify
from tests.durability.evidence import data_set_of, query
from tests.durability.senders import Promises


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the parts of one gateway are."""

    data: Path
    ledger: Path
    """The folder of the SQLite database."""
    spool: Path

    @property
    def environment(self) -> dict[str, str]:
        """The settings that say so."""
        return {
            "TOLLGATE_DATA_DIR": str(self.data),
            "TOLLGATE_DATABASE__URL": f"sqlite:///{self.ledger}/tollgate.sqlite3",
            "TOLLGATE_SPOOL__DIR": str(self.spool),
        }

    def settings(self) -> Settings:
        """The same for this process."""
        return Settings.model_validate(
            {
                "data_dir": self.data,
                "database": {"url": self.environment["TOLLGATE_DATABASE__URL"]},
                "spool": {"dir": str(self.spool)},
            }
        )


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What does not agree with what was promised. All of it must be empty."""

    lost: frozenset[str]
    """Acknowledged, and not on record with these bytes."""
    doubled: frozenset[str]
    """Studies with more than one examination, and examinations with more than one charge."""
    uncharged: frozenset[str]
    """Examinations with instances and without a charge."""
    without_object: frozenset[str]
    """Instances on record whose object is missing."""
    violations: tuple[str, ...]
    """What `tollgate verify` finds."""

    @property
    def clean(self) -> bool:
        """Whether everything is as promised."""
        return self == NOTHING_WRONG


NOTHING_WRONG = Aftermath(
    lost=frozenset(),
    doubled=frozenset(),
    uncharged=frozenset(),
    without_object=frozenset(),
    violations=(),
)


def on_record(site: Site) -> set[str]:
    """The SOP Instance UIDs of all instances on record."""
    return {str(uid) for (uid,) in query(site.ledger, "SELECT sop_instance_uid FROM instances")}


def look(site: Site, promised: Promises) -> Aftermath:
    """Compare rows, objects and charges with the promises; a gateway may be running."""
    lost, without_object = _compare_objects(site, promised)
    studies = Counter(
        x for (x,) in query(site.ledger, "SELECT study_instance_uid FROM examinations")
    )
    charges = Counter(x for (x,) in query(site.ledger, "SELECT examination_id FROM charges"))
    filled = {x for (x,) in query(site.ledger, "SELECT DISTINCT examination_id FROM instances")}
    twice = [key for counter in (studies, charges) for key, count in counter.items() if count > 1]
    return Aftermath(
        lost=frozenset(lost),
        doubled=frozenset(map(str, twice)),
        uncharged=frozenset(map(str, filled - set(charges))),
        without_object=frozenset(without_object),
        violations=_violations(site),
    )


def charges(site: Site) -> tuple[int, int]:
    """How many charges there are, and how many units were used."""
    ((count,),) = query(site.ledger, "SELECT count(*) FROM charges")
    ((used,),) = query(site.ledger, "SELECT coalesce(sum(consumed), 0) FROM meters")
    return int(str(count)), int(str(used))


def _compare_objects(site: Site, promised: Promises) -> tuple[set[str], set[str]]:
    rows = query(site.ledger, "SELECT sop_instance_uid, object_key FROM instances")
    lost, without_object = set(promised.digest), set()
    for uid, key in rows:
        path = site.data / ARCHIVE / str(key)
        if not path.is_file():
            without_object.add(str(uid))
        elif digest_of(path) == promised.digest.get(str(uid)):
            lost.discard(str(uid))
    return lost, without_object


def digest_of(path: Path) -> str:
    """SHA-256 of an object's data set; of nothing, where it is no Part 10 file any more."""
    try:
        return sha256(data_set_of(path)).hexdigest()
    except AssertionError:
        return ""


def _violations(site: Site) -> tuple[str, ...]:
    ledger = open_ledger(site.settings())
    try:
        with ledger.read() as view:
            report = verify(view, archive=LocalArchive(site.data / ARCHIVE))
    finally:
        ledger.database.dispose()
    return tuple(
        f"{one.check}: {json.dumps(one.rows[:3], default=str)}" for one in report.violations
    )
