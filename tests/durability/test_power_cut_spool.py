"""Power cuts while a process stores into a spool: nothing acknowledged is lost, ever.

The same harness loses records when a bug is seeded, or it would prove nothing.
"""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.durability.powercut import CutVolume, Worker, cut_all, cut_volume
from tests.durability.spool_worker import body_of, open_spool

FULL = os.environ.get("TOLLGATE_TEST_PROFILE") == "full"
CUTS = 100 if FULL else 20
VOLUME_MIB = 64
RECORDS_MAX = 60


@dataclass(kw_only=True)
class Tally:
    """What came of the cuts."""

    cuts: int = 0
    acknowledged: int = 0
    lost: set[int] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)
    """What should not have been there, or was reported as damage."""


def cut_once(volume: CutVolume, seed: int, bug: str, due: set[int], tally: Tally) -> None:
    """One life of the process: it stores, the power goes, and everything due is looked for.

    `due`: what was acknowledged and not filed, before and afterwards.
    """
    worker = Worker("tests.durability.spool_worker", volume.path, str(seed), bug)
    random_ = random.Random(seed)
    assert worker.lines(1) == ["ready"]
    reported = worker.lines(random_.randint(1, RECORDS_MAX))
    # Between two reports as well: wait a moment that has nothing to do with them.
    threading.Event().wait(random_.random() * 0.01)
    reports = cut_all([volume], worker)
    reported += reports.before
    acknowledged = {int(line[1:]) for line in reported if line[0] == "+"}
    due |= acknowledged
    due -= {int(line[1:]) for line in reported + reports.during if line[0] == "-"}
    with open_spool(volume.path) as spool:
        tally.strange += [damage.what for damage in spool.damages()]
        found: set[int] = set()
        for record in spool.unfiled(1_000_000):
            number = record.header.received_at
            if b"".join(record.chunks()) != body_of(number) or number in found:
                tally.strange.append(f"record {number} is not what was stored")
            found.add(number)
        tally.cuts += 1
        tally.acknowledged += len(acknowledged)
        tally.lost |= due - found
        # Found and not due: durable, but the power went before it could be told; or filed before.
        due.clear()
        due |= found


def cut_many(folder: Path, bug: str, *, cuts: int, until_lost: bool, kind: str = "ext4") -> Tally:
    """Cut again and again on one file system, so that segments are recycled in between."""
    tally = Tally()
    with cut_volume(folder, size_mib=VOLUME_MIB if kind == "ext4" else 320, kind=kind) as volume:
        due: set[int] = set()
        for seed in range(1, cuts + 1):
            cut_once(volume, seed, bug, due, tally)
            if until_lost and tally.lost:
                break
    return tally


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_with_the_power(tmp_path: Path) -> None:
    """Every acknowledged record is there, byte for byte; nothing is taken for damage."""
    tally = cut_many(tmp_path, "none", cuts=CUTS, until_lost=False)
    assert (tally.lost, tally.strange) == (set(), [])
    assert tally.cuts == CUTS and tally.acknowledged > 3 * CUTS


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", ["no fdatasync", "answer before sync", "no folder sync"])
def test_a_seeded_bug_is_caught(tmp_path: Path, bug: str) -> None:
    """Within a hundred cuts, or the test above would be worth nothing."""
    tally = cut_many(tmp_path, bug, cuts=100, until_lost=True)
    assert tally.lost


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_shows_a_missing_folder_sync_loses_nothing_with_it(tmp_path: Path) -> None:
    """The control of the seeded bug: the way segments are made there is not to blame."""
    tally = cut_many(tmp_path, "late folder sync", cuts=CUTS // 2, until_lost=False)
    assert (tally.lost, tally.strange) == (set(), [])
