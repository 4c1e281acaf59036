"""The register of refusals is written behind the answers, whatever is wrong with one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.refusal_writer import RefusalWriter
from quota.admission import RefusalReason
from storage.refusals import RefusedInstance
from tests.harness import wait_until
from tests.quota.makers import NOON
from tests.storage.hospital import Instance, Site
from tests.storage.kit import HandClock, add_account, open_sqlite


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A hospital that has bought nothing."""
    ledger = open_sqlite(tmp_path, HandClock())
    yield Site(ledger, add_account(ledger), tmp_path / "archive")
    ledger.database.dispose()


def refused(site: Site, study: str, *, device_id: int | None = None) -> RefusedInstance:
    """The first instance of a study, which was not let in."""
    incoming = Instance(sop=f"{study}.1", study=study).incoming(site.device)
    if device_id is not None:
        incoming = replace(incoming, device_id=device_id)
    return RefusedInstance(incoming=incoming, reason=RefusalReason.UNPROVISIONED, at=NOON)


def test_one_that_cannot_be_listed_keeps_no_other_from_it(site: Site) -> None:
    """Of a device that is not on record, as after a restore: it is told, and the rest is listed."""
    told: list[Exception] = []
    writer = RefusalWriter(site.ledger, failed=told.append)
    for each in (
        refused(site, "1.0"),
        refused(site, "2.0", device_id=9_999),
        refused(site, "3.0"),
    ):
        writer.add(each)
    writer.start()

    wait_until(lambda: len(site.refusals()) == 2)
    writer.add(refused(site, "4.0"))
    wait_until(lambda: len(site.refusals()) == 3)
    writer.stop(10)

    assert [type(error).__name__ for error in told] == ["IntegrityError"] * len(told) != []
