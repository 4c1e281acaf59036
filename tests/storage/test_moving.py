"""Moving an institution to another account: for examinations to come, seen by who waits (§1)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from quota import correction
from quota.account import Account
from quota.admission import Refused
from quota.order import Rejected
from storage import tables as t
from storage.admitting import Overtaken
from storage.filing import Filed, file_batch
from storage.ledger import SqlLedger
from storage.records import Institution
from storage.registry import move_institution
from storage.work import SqlWork
from tests.storage.hospital import QUIET, Instance, Outcome, Site
from tests.storage.kit import add_account, dump, top_up
from tests.storage.operator import ME
from tests.storage.test_postgresql import LIMIT_S, until_somebody_waits


@pytest.fixture
def other(site: Site) -> Account:
    """Another account with ten units; the site's own has ten as well."""
    account = add_account(site.ledger, "South")
    top_up(site.ledger, site.account, "SO-1", 10)
    top_up(site.ledger, account, "SO-2", 10)
    return account


def move(site: Site, account_id: int) -> Institution | Rejected:
    """Move the site's institution and commit unless refused."""
    with site.ledger.begin() as work:
        moved = move_institution(work, site.device.institution_id, account_id=account_id, by=ME)
        if not isinstance(moved, Rejected):
            work.commit()
    return moved


def resent(site: Site, instance: Instance) -> Outcome:
    """Send, and resolve again where somebody was faster, as a receiver does."""
    for _ in range(20):
        outcome = site.send(instance)
        if not isinstance(outcome, Overtaken):
            return outcome
    raise AssertionError("overtaken without end")


def owner(ledger: SqlLedger, examination_id: str) -> int:
    """The account to which an examination belongs."""
    with ledger.read() as view:
        statement = select(t.examinations.c.account_id).filter_by(id=examination_id)
        return int(view.connection.execute(statement).scalar_one())


def test_new_examinations_go_to_the_other_account_and_known_ones_stay(
    site: Site, other: Account
) -> None:
    """§1: an examination belongs for ever to the account that admitted it; its later bytes too."""
    before = site.send(Instance(sop="1.1", study="1.2"))
    moved = move(site, other.id)
    assert isinstance(moved, Institution)
    assert moved.account_id == other.id
    later = site.send(Instance(sop="1.3", study="1.2"))
    after = site.send(Instance(sop="2.1", study="2.2"))

    assert isinstance(before, Filed)
    assert isinstance(later, Filed)
    assert isinstance(after, Filed)
    assert owner(site.ledger, before.examination_id) == site.account.id
    assert later.examination_id == before.examination_id
    assert owner(site.ledger, after.examination_id) == other.id
    with site.ledger.read() as view:
        (action,) = view.actions()
        levels = [view.meter(one, "capacity") for one in (site.account.id, other.id)]
    assert (action.action, action.actor) == ("institution_move", ME.actor)
    assert action.subject == f"{moved.id}: {site.account.id} to {other.id}"
    assert [level and level.stored for level in levels] == [
        before.size_bytes + later.size_bytes,
        after.size_bytes,
    ]


def test_moving_it_to_where_it_is_changes_nothing(site: Site, other: Account) -> None:
    """The same act again: the first result, and no second line in the journal."""
    move(site, other.id)
    written = dump(site.ledger)

    moved = move(site, other.id)

    assert isinstance(moved, Institution)
    assert dump(site.ledger) == written


def test_a_closed_account_takes_nobody(site: Site, other: Account) -> None:
    """Refused, and nothing written."""
    with site.ledger.begin() as work:
        correction.close_account(work, other, by=ME)
        work.commit()
    written = dump(site.ledger)

    refused = move(site, other.id)

    assert isinstance(refused, Rejected)
    assert refused.rule == "STATE-6"
    assert dump(site.ledger) == written


@pytest.mark.parametrize("act", ["move", "close"])
def test_whoever_waited_for_the_meter_sees_what_was_done_meanwhile(
    postgresql: SqlLedger, tmp_path: Path, act: str
) -> None:
    """§13: an admission that read its account before an operator's act does not go by it after."""
    site = Site(postgresql, add_account(postgresql), tmp_path)
    other = add_account(postgresql, "South")
    top_up(postgresql, site.account, "SO-1", 10)
    top_up(postgresql, other, "SO-2", 10)

    def operate(work: SqlWork) -> None:
        if act == "close":
            correction.close_account(work, site.account, by=ME)
        else:
            move_institution(work, site.device.institution_id, account_id=other.id, by=ME)

    with ThreadPoolExecutor(1) as pool, postgresql.begin() as work:
        operate(work)
        waiting = pool.submit(resent, site, Instance(sop="1.1", study="1.2"))
        until_somebody_waits(postgresql)
        work.commit()
        outcome = waiting.result(timeout=LIMIT_S)

    if act == "close":
        assert isinstance(outcome, Refused)
    else:
        assert isinstance(outcome, Filed)
        assert owner(postgresql, outcome.examination_id) == other.id


def test_a_filing_that_waited_for_the_meter_charges_whoever_pays_by_then(
    postgresql: SqlLedger, tmp_path: Path
) -> None:
    """§13, of an examination that was let in without the ledger: it is nobody's before."""
    site = Site(postgresql, add_account(postgresql), tmp_path)
    other = add_account(postgresql, "South")
    arrivals = site.put(site.unseen(Instance(sop="1.1", study="1.2")))

    def file() -> object:
        with postgresql.begin() as work:
            return file_batch(work, arrivals, quiet_period=QUIET)

    with ThreadPoolExecutor(1) as pool, postgresql.begin() as work:
        move_institution(work, site.device.institution_id, account_id=other.id, by=ME)
        waiting = pool.submit(file)
        until_somebody_waits(postgresql)
        work.commit()
        assert isinstance(waiting.result(timeout=LIMIT_S), Overtaken)

    (outcome,) = site.file(*arrivals)
    assert isinstance(outcome, Filed)
    assert owner(postgresql, outcome.examination_id) == other.id


def test_moves_and_admissions_at_once_block_nobody_for_good(site: Site, other: Account) -> None:
    """Two operators move it to and fro while it sends: every examination is somebody's."""
    begin = threading.Barrier(3)

    def to_and_fro() -> None:
        begin.wait(LIMIT_S)
        for turn in range(6):
            move(site, (other.id, site.account.id)[turn % 2])

    def send() -> list[object]:
        begin.wait(LIMIT_S)
        return [resent(site, Instance(sop=f"3.{n}", study=f"4.{n}")) for n in range(1, 13)]

    with ThreadPoolExecutor(3) as pool:
        moving = [pool.submit(to_and_fro) for _ in range(2)]
        sent = pool.submit(send).result(timeout=LIMIT_S)
        for one in moving:
            one.result(timeout=LIMIT_S)

    assert all(isinstance(one, Filed) for one in sent)
