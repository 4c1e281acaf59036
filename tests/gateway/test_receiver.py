"""The receiver where two associations are faster than one another, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.receiver import Receiver
from storage import tables as t
from storage.ledger import SqlLedger
from tests.quota.makers import HOUR
from tests.storage.hospital import Instance, Site
from tests.storage.kit import HandClock, add_account, open_sqlite, top_up, verified
from tests.storage.server import Server

ROUNDS = 40


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlLedger]:
    """An empty ledger."""
    clock = HandClock()
    if request.param == "sqlite":
        yield open_sqlite(tmp_path, clock)
        return
    with Server() as server:
        ledger = SqlLedger(server.new_database(), clock)
        yield ledger
        ledger.database.dispose()


@pytest.mark.slow
def test_who_comes_second_with_the_same_instance_takes_nothing_along(
    ledger: SqlLedger, tmp_path: Path
) -> None:
    """Under a known examination both put the same key: it is the first one's, and stays."""
    site = Site(ledger, add_account(ledger), tmp_path / "archive")
    top_up(ledger, site.account, "SO-1", 1_000)
    receiver = Receiver(
        ledger=ledger,
        archive=site.archive,
        register_refusal=lambda _: None,
        quiet_period=HOUR,
    )
    first = Instance(sop="1.1", study="1.2")
    receiver.receive(first.incoming(site.device), first.content)
    barrier = threading.Barrier(2)

    def send() -> None:
        for number in range(ROUNDS):
            each = Instance(sop=f"1.1.{number}", study="1.2", content=f"{number}".encode())
            barrier.wait()
            receiver.receive(each.incoming(site.device), each.content)

    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    with ledger.read() as view:
        keys = view.connection.execute(select(t.instances.c.object_key)).scalars().all()
    assert len(keys) == ROUNDS + 1
    assert [key for key in keys if not site.archive.path(key).exists()] == []
    assert not {13, 14} & {
        violation.check.number
        for violation in verified(ledger, archive_root=site.archive.root).violations
    }
