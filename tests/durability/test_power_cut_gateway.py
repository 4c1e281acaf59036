"""Power cuts of the whole gateway under load: nothing acknowledged is lost or charged twice.

Four devices send while the power of all disks goes; afterwards every acknowledged instance is on
record byte for byte, each examination is charged once, and `tollgate verify` finds nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.durability.figures import record
from tests.durability.gateway_cuts import cut_gateway

FULL = os.environ.get("TOLLGATE_TEST_PROFILE") == "full"
ONE_DISK = ("data",)
LEDGER_APART = ("data", "ledger")
ALL_APART = ("data", "ledger", "spool")
CUTS = 50 if FULL else 4
CUTS_MAX = 100


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("disks", [ONE_DISK, LEDGER_APART], ids=["one disk", "ledger apart"])
def test_nothing_acknowledged_is_lost_with_the_power(
    disks: tuple[str, ...], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Cut after cut on the same disks, so that segments are recycled and the log is replayed.

    Nothing is reported as damaged either: an alarm after every power cut would soon be believed by
    nobody.
    """
    with cut_gateway(tmp_path, disks=disks) as gateway:
        tally = gateway.run(CUTS)
    record(request, **tally.figures)
    assert (tally.wrong, tally.damages) == ([], 0)
    assert tally.cuts == CUTS and tally.acknowledged > 3 * CUTS and tally.charges > CUTS


BUGS = {
    "no fdatasync": ONE_DISK,
    "answer before sync": ONE_DISK,
    "no directory fsync": ALL_APART,
    "WAL+NORMAL": LEDGER_APART,
    "row before object": LEDGER_APART,
    "released before filed": ONE_DISK,
}


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(("bug", "disks"), BUGS.items(), ids=BUGS)
def test_a_seeded_bug_is_caught(
    bug: str, disks: tuple[str, ...], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Within a hundred cuts, or the test above would be worth nothing."""
    with cut_gateway(tmp_path, disks=disks, bug=bug) as gateway:
        tally = gateway.run(CUTS_MAX, until_wrong=True)
    record(request, cuts_with_seeded_bugs=tally.cuts, seeded_bugs_caught=bool(tally.wrong))
    assert tally.wrong
