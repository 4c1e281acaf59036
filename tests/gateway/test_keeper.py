"""The keeper on each database: what is due is booked in its round, though nobody else comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text, update

from gateway.keeper import INTERVAL_S, NEVER_STORED_S, PAUSE_MAX_S, Keeper
from gateway.telemetry.events import Events
from gateway.telemetry.metrics import Metrics
from quota import service
from quota.account import EXAM, Account
from quota.hold import Hold
from quota.order import LineRequest
from quota.statement import Finality, MeterStatement, Month, Moves
from storage import spool_register, statements
from storage import tables as t
from storage.archive import LocalArchive
from storage.bookkeeping import (
    due_meters,
    licences_to_remind,
    meters_to_close,
    services_to_remind,
)
from storage.ledger import SqlLedger
from tests.quota.makers import DAY, SECOND
from tests.storage import kit
from tests.storage.calls import METER, buy_calls, hold
from tests.storage.kit import HandClock, add_account, open_sqlite, top_up
from tests.storage.server import Server
from tests.storage.shop import a_licence, buy, enrol, licences, services


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server, with a template of an empty ledger."""
    with Server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SqlLedger, HandClock]]:
    """An empty ledger on each database, and the clock that it reads."""
    clock = HandClock()
    if request.param == "sqlite":
        ledger = open_sqlite(tmp_path, clock)
    else:
        server: Server = request.getfixturevalue("server")
        ledger = SqlLedger(server.new_database(), clock)
    yield ledger, clock
    ledger.database.dispose()


def keeper(ledger: SqlLedger, folder: Path) -> tuple[Keeper, Metrics]:
    """A keeper that counts what it tells."""
    metrics = Metrics(version="0", refusal_reasons=())
    return Keeper(ledger, Events(metrics), archive=LocalArchive(folder / "archive")), metrics


def test_a_hold_whose_time_is_over_is_booked_in_the_next_round(
    kept: tuple[SqlLedger, HandClock], tmp_path: Path
) -> None:
    """TIME-3: a hold's end is a boundary like a package's; due from its instant on (TIME-2)."""
    ledger, clock = kept
    account = add_account(ledger)
    buy_calls(ledger, account, "AI-1", 1000)
    placed = hold(ledger, account, "call-1", 7, ttl_s=600)
    assert isinstance(placed, Hold)
    runner, _ = keeper(ledger, tmp_path)
    for offset, due in ((-1, []), (0, [(account.id, METER)])):
        clock.at = placed.expires_at + offset
        with ledger.read() as view:
            assert due_meters(view) == due
    clock.at += 30 * SECOND

    runner.round()

    with ledger.read() as view:
        assert due_meters(view) == []
        meter = view.meter(account.id, METER)
        assert meter is not None
        settled = view.hold(meter.id, "call-1")
    assert (meter.held, meter.available) == (0, 1000)
    assert settled is not None
    assert (settled.state, settled.settled_at) == ("expired", placed.expires_at)


def test_a_month_in_which_nothing_happened_becomes_final(
    kept: tuple[SqlLedger, HandClock], tmp_path: Path
) -> None:
    """The keeper brings a quiet meter past the month's end, once, by the account's own calendar."""
    ledger, clock = kept
    account = add_account(ledger, timezone="Asia/Shanghai")
    top_up(ledger, account, "SO-1", 5)
    march = Month.of(clock.at, account.zone)
    runner, _ = keeper(ledger, tmp_path)
    clock.at = march.span(account.zone)[1] - 1
    runner.round()
    assert _told(ledger, account, march).finality is Finality.OPEN
    clock.at += 1
    before = _told(ledger, account, march)
    assert before.finality is Finality.PROVISIONAL

    runner.round()

    after = _told(ledger, account, march)
    assert after == replace(before, finality=Finality.FINAL)
    with ledger.read() as view:
        assert meters_to_close(view) == []
        assert _told(ledger, account, march.next()).moves == Moves()
        assert service.read_meter(view, account, EXAM).available == 5
    assert kit.failed(kit.verified(ledger)) <= {12}


def _told(ledger: SqlLedger, account: Account, month: Month) -> MeterStatement:
    with ledger.read() as view:
        return statements.statement(view, account, month).meters[0]


def test_the_daily_verification_is_told_to_the_metrics(
    kept: tuple[SqlLedger, HandClock], tmp_path: Path
) -> None:
    """The last result and its time; absent before the first, for a zero would read as 1970."""
    ledger, _ = kept
    add_account(ledger)
    runner, metrics = keeper(ledger, tmp_path)
    stamp = "tollgate_verify_last_run_timestamp_seconds"
    assert metrics.registry.get_sample_value(stamp) is None

    runner.round()

    assert metrics.registry.get_sample_value("tollgate_verify_violations") == 0
    assert (metrics.registry.get_sample_value(stamp) or 0) > 1_000_000_000


def test_the_end_of_a_licence_is_told_in_the_round_that_is_due(
    kept: tuple[SqlLedger, HandClock], tmp_path: Path
) -> None:
    """§10: 30, 7, 1 days, once each; nobody is reminded of what was renewed or revoked."""
    ledger, clock = kept
    account = add_account(ledger)
    for owner in (1, 2):
        enrol(ledger, account, owner)
    buy(ledger, account, "L-1", a_licence("mobile"))
    buy(ledger, account, "L-2", a_licence("basic"))
    buy(ledger, account, "L-3", a_licence("mobile"), institution_id=2)
    buy(ledger, account, "L-4", a_licence("basic"))
    with ledger.begin() as work:
        work.revoke_licence(3, revoked_at=clock.at)
        work.commit()
    ends_at = licences(ledger)[0].ends_at
    assert ends_at is not None
    runner, _ = keeper(ledger, tmp_path)
    with ledger.read() as view:
        assert licences_to_remind(view) == []

    for left in (30, 29, 7, 1, 0):
        clock.at = ends_at - left * DAY
        runner.round()
        with ledger.read() as view:
            assert licences_to_remind(view) == []

    with ledger.read() as view:
        expiring = [one.details for one in view.notices() if one.kind == "expiring"]
    assert [(one["licence"], one["days"]) for one in expiring] == [(1, 30), (1, 7), (1, 1)]


def test_the_end_of_a_service_is_told_in_the_round_that_is_due(
    kept: tuple[SqlLedger, HandClock], tmp_path: Path
) -> None:
    """§10, §8: what lapses unaccepted and what ends; not the accepted, cancelled, continued."""
    ledger, clock = kept
    account = add_account(ledger)
    enrol(ledger, account, 1)
    for number, kind in enumerate(("delivery", "delivery", "delivery", "maintenance"), start=1):
        buy(ledger, account, f"S-{number}", LineRequest(meter=f"service:{kind}", quantity=1))
    with ledger.begin() as work:
        work.end_service(2, accepted_at=clock.at)
        work.end_service(3, cancelled_at=clock.at)
        work.commit()
    ends_at = services(ledger)[0].ends_at
    runner, _ = keeper(ledger, tmp_path)

    clock.at = ends_at - 30 * DAY
    runner.round()
    clock.at += DAY
    line = LineRequest(meter="service:maintenance", quantity=1)
    buy(ledger, account, "S-5", line)
    for left in (8, 7, 1, 0):
        clock.at = ends_at - left * DAY
        runner.round()
        with ledger.read() as view:
            assert services_to_remind(view) == []

    with ledger.read() as view:
        expiring = [one.details for one in view.notices() if one.kind == "expiring"]
    told = [(one["service"], one["days"]) for one in expiring]
    assert told == [(1, 30), (4, 30), (1, 7), (1, 1)]


def test_the_charge_of_what_never_came_is_taken_back_within_a_minute(
    kept: tuple[SqlLedger, HandClock], tmp_path: Path
) -> None:
    """Design §7; not in the first rounds, in which workers register their spools."""
    ledger, clock = kept
    account = add_account(ledger)
    top_up(ledger, account, "SO-1", 5)
    kit.admit(ledger, account, "exam-1")
    clock.at += DAY + SECOND
    with ledger.begin() as work:
        spool_register.register(work, "spool-1", host="gate-1")
        work.connection.execute(update(t.spools).values(filed_through=clock.at))
        work.commit()
    runner, _ = keeper(ledger, tmp_path)

    for _ in range(round(NEVER_STORED_S / INTERVAL_S) - 1):
        runner.round()
    assert kit.reading(ledger, account).used == 1
    runner.round()

    assert kit.reading(ledger, account).used == 0
    with ledger.read() as view:
        assert view.charge("exam-1") is None


def test_a_keeper_whose_rounds_fail_tries_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away for a night does not fill the log; once back, it is as ever."""
    ledger = open_sqlite(tmp_path, HandClock())
    runner, _ = keeper(ledger, tmp_path)
    pauses: list[float] = []

    def rename(name: str, new_name: str) -> None:
        with ledger.begin() as work:
            work.connection.execute(text(f"ALTER TABLE {name} RENAME TO {new_name}"))
            work.commit()

    class Stop(threading.Event):
        """Time passes at once; the orders are back after five rounds."""

        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            pauses.append(timeout)
            if len(pauses) == 5:
                rename("orders_away", "orders")
            if len(pauses) == 7:
                self.set()
            return self.is_set()

    rename("orders", "orders_away")
    monkeypatch.setattr(runner, "_stop", Stop())
    runner.run()

    assert pauses == [2, 4, 8, PAUSE_MAX_S, PAUSE_MAX_S, INTERVAL_S, INTERVAL_S]
