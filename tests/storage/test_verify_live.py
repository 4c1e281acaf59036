"""The verification of a ledger that is at work: one snapshot, and no false alarm (§12)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.deletion import Deleted, delete_examination, delete_objects, objects_to_delete
from storage.filing import Filed
from storage.ledger import SqlLedger
from storage.verify import OBJECTS, verify
from tests.quota.makers import NOON
from tests.storage.calls import buy_calls
from tests.storage.conftest import SMALL_PACKAGES
from tests.storage.hospital import Instance, Site
from tests.storage.kit import add_account, failed, top_up, url_of, verified
from tests.storage.racing import LIMIT_S, PROCESSES, Task, answering, started


@pytest.fixture(params=["sound_sqlite", "postgresql"])
def raced(request: pytest.FixtureRequest) -> SqlLedger:
    """The ledger that is at work."""
    ledger: SqlLedger = request.getfixturevalue(request.param)
    return ledger


@pytest.mark.slow
def test_a_ledger_at_work_is_verified_without_a_false_alarm(
    raced: SqlLedger, tmp_path: Path
) -> None:
    """Three processes admit, hold, reverse and void, across zero, while it is checked over and
    over again."""
    account = add_account(raced)
    top_up(raced, account, "SO-1", 60)
    top_up(raced, account, "SO-2", 30)
    buy_calls(raced, account, "AI-1", 100)
    names = [[f"exam-{process}-{n}" for n in range(60)] for process in range(3)]
    tasks = [
        Task(
            url=url_of(raced),
            lock_dir=tmp_path,
            account_id=account.id,
            examinations=names[process],
            holds=[f"call-{process}-{n}" for n in range(10)],
            reversals=names[process][:10],
            voids=["SO-2"] if process == 0 else [],
            step=1000,
        )
        for process in range(3)
    ]
    over = threading.Event()

    def check() -> list[set[int]]:
        found = []
        while not over.is_set():
            found.append(failed(verified(raced)))
        return found

    now = PROCESSES.Value("q", NOON)
    with ThreadPoolExecutor(1) as pool:
        checks = pool.submit(check)
        try:
            with started(now, *tasks) as racers:
                for _ in answering(racers):
                    pass
                exits = [racer.process.exitcode for racer in racers]
        finally:
            over.set()
        results = checks.result(timeout=LIMIT_S)

    assert exits == [0, 0, 0]
    assert len(results) > 3
    assert [one for one in results if not one <= {SMALL_PACKAGES}] == []


def test_an_object_deleted_meanwhile_is_not_missed(site: Site) -> None:
    """13: the snapshot still has the row, the object is gone by right; one lost is still seen."""
    top_up(site.ledger, site.account, "SO-1", 2)
    sent = [site.send(Instance(sop=f"1.{n}", study=f"2.{n}")) for n in (1, 2)]
    gone, lost = sent
    assert isinstance(gone, Filed)
    assert isinstance(lost, Filed)
    with site.ledger.read() as view:
        again = verify(view, archive=site.archive, fresh=site.ledger.read)
        assert failed(again) == {SMALL_PACKAGES}
        with site.ledger.begin() as work:
            assert isinstance(
                delete_examination(work, gone.examination_id, actor="a", reason="b", override=True),
                Deleted,
            )
            work.commit()
        with site.ledger.begin() as work:
            delete_objects(work, site.archive, objects_to_delete(work, limit=10))
            work.commit()
        assert failed(verify(view, archive=site.archive)) == {
            OBJECTS.number,
            SMALL_PACKAGES,
        }
        again = verify(view, archive=site.archive, fresh=site.ledger.read)
        assert failed(again) == {SMALL_PACKAGES}
