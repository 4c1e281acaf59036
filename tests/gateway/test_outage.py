"""The ledger can't be asked: what is under way goes on, and what is new enters for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.admissions import Admissions, Pin
from gateway.lookout import Lookout
from gateway.outage import ASK_AGAIN_S, LastLook, Proposals, Pulse
from gateway.worker import RegistryReader
from quota.admission import LOOK_AGE_MAX, Refused, lets_in_unasked
from quota.standing import Status
from storage import snapshot
from storage import tables as t
from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger
from tests.storage.hospital import Instance, Site
from tests.storage.kit import HandClock, add_account, open_sqlite, top_up

MINUTE = 60_000_000


class Host:
    """One worker's admissions, on a ledger that can be taken away."""

    def __init__(self, ledger: SqlLedger, clock: HandClock, folder: Path) -> None:
        self.ledger = ledger
        self.clock = clock
        self.path = folder / "snapshot.json"
        self.site = Site(ledger, add_account(ledger), folder / "archive")
        self.seconds = [0.0]

    def look(self) -> None:
        """What the lookout does every few seconds."""
        Lookout(self.ledger, self.path, failed=lambda _: None, clock=self.clock).look()

    def worker(self) -> Admissions:
        """A process that has asked nobody yet."""
        proposals = Proposals(last_look=LastLook(self.path), clock=self.clock)
        return Admissions(self.ledger, proposals=proposals, monotonic_s=lambda: self.seconds[0])

    @contextmanager
    def outage(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """The database's file can't be opened."""

        def gone(**_: object) -> None:
            raise LedgerUnavailable

        with monkeypatch.context() as patch:
            patch.setattr(self.ledger.database, "read", gone)
            patch.setattr(self.ledger.database, "write", gone)
            yield
        self.seconds[0] += ASK_AGAIN_S

    def count(self) -> int:
        """Charges that stand."""
        statement = select(func.count()).where(t.charges.c.state.in_(("funded", "owed")))
        with self.ledger.read() as view:
            counted: int = view.connection.execute(statement).scalar_one()
        return counted


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """With twenty units, looked at once."""
    clock = HandClock()
    ledger = open_sqlite(tmp_path, clock)
    host = Host(ledger, clock, tmp_path)
    top_up(ledger, host.site.account, "SO-1", 20)
    host.look()
    yield host
    ledger.database.dispose()


def pinned(worker: Admissions, host: Host, instance: Instance) -> Pin:
    """Where it belongs; it must be let in."""
    pin = worker.pin(instance.incoming(host.site.device))
    assert isinstance(pin, Pin)
    return pin


def test_a_new_examination_enters_and_all_its_studies_share_its_id(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KEY-2: by study and by key; another key is another examination."""
    worker = host.worker()
    with host.outage(monkeypatch):
        first = pinned(worker, host, Instance(sop="1.1", study="1", key="accession:1"))
        second = pinned(worker, host, Instance(sop="2.1", study="2", key="accession:1"))
        third = pinned(worker, host, Instance(sop="1.2", study="1", key="accession:other"))
        other = pinned(worker, host, Instance(sop="3.1", study="3"))
    assert first.provisional
    assert (first.proposed, second.proposed, third.proposed) == (True, False, False)
    assert first.examination_id == second.examination_id == third.examination_id
    assert other.examination_id != first.examination_id


def test_a_second_key_of_a_study_is_still_another_examination_s(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KEY-3: a changed accession merges nothing, as it would not with the ledger."""
    worker = host.worker()
    with host.outage(monkeypatch):
        first = pinned(worker, host, Instance(sop="1.1", study="1", key="accession:1"))
        changed = pinned(worker, host, Instance(sop="1.2", study="1", key="accession:2"))
        other = pinned(worker, host, Instance(sop="2.1", study="2", key="accession:2"))
    assert changed.examination_id == first.examination_id != other.examination_id
    assert other.proposed


def test_a_rehearsal_admits_nobody_and_an_outage_does_not_fail_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker starts whatever comes of it; the silence it met is not met again."""
    worker = host.worker()
    worker.rehearse()
    assert host.count() == 0
    with host.outage(monkeypatch):
        worker.rehearse()
    host.seconds[0] -= ASK_AGAIN_S
    assert pinned(worker, host, Instance(sop="1.1", study="1")).provisional


def test_an_examination_under_way_goes_on_as_it_is(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADM-1: it is pinned, and nobody is asked."""
    worker = host.worker()
    before = pinned(worker, host, Instance(sop="1.1", study="1"))
    with host.outage(monkeypatch):
        after = pinned(worker, host, Instance(sop="1.2", study="1"))
    assert after.examination_id == before.examination_id
    assert not after.provisional


def test_the_ledger_is_asked_again_when_it_is_back_and_takes_the_proposed_id(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provisional pin is not kept for ever; the record that waits and the row agree."""
    worker = host.worker()
    with host.outage(monkeypatch):
        proposed = pinned(worker, host, Instance(sop="1.1", study="1"))
    admitted = pinned(worker, host, Instance(sop="1.2", study="1"))
    assert not admitted.provisional
    assert admitted.admission is not None
    assert admitted.examination_id == proposed.examination_id


def test_what_two_workers_let_in_is_one_examination_and_one_charge(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each proposes an id of its own; filing merges by study and by key (KEY-1, KEY-2)."""
    instances = [
        Instance(sop="1.1", study="1", key="accession:1", content=b"a"),
        Instance(sop="1.2", study="1", key="accession:1", content=b"b"),
        Instance(sop="2.1", study="2", key="accession:1", content=b"c"),
    ]
    with host.outage(monkeypatch):
        pins = [pinned(host.worker(), host, instance) for instance in instances]
    assert len({pin.examination_id for pin in pins}) == 3
    ids = set()
    for instance, pin in zip(instances, pins, strict=True):
        arrival = host.site.arrival(instance, pin)  # type: ignore[arg-type]  # it has the fields
        (filed,) = host.site.file(*host.site.put(replace(arrival, provisional=True)))
        ids.add(filed.examination_id)
    assert len(ids) == 1
    assert host.count() == 1


def test_what_was_let_in_goes_on_where_the_account_is_suspended_meanwhile(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADM-1: its first instance was acknowledged, though it is not filed yet."""
    worker = host.worker()
    for n in range(21):
        pinned(worker, host, Instance(sop=f"9.{n}.1", study=f"9.{n}"))
    with host.outage(monkeypatch):
        first = pinned(worker, host, Instance(sop="1.1", study="1"))
    host.clock.at += 25 * 60 * MINUTE
    second = pinned(worker, host, Instance(sop="1.2", study="1"))
    assert second.examination_id == first.examination_id
    assert second.provisional
    assert isinstance(
        worker.pin(Instance(sop="2.1", study="2").incoming(host.site.device)), Refused
    )


def test_an_account_last_seen_suspended_is_not_let_in(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grace was over before the outage began."""
    worker = host.worker()
    for n in range(21):
        pinned(worker, host, Instance(sop=f"9.{n}.1", study=f"9.{n}"))
    host.clock.at += 25 * 60 * MINUTE
    host.look()
    with host.outage(monkeypatch), pytest.raises(LedgerUnavailable):
        worker.pin(Instance(sop="1.1", study="1").incoming(host.site.device))


def test_nobody_is_let_in_a_day_after_the_last_look(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 h, and not an instant more."""
    with host.outage(monkeypatch):
        host.clock.at += LOOK_AGE_MAX - 1
        pinned(host.worker(), host, Instance(sop="1.1", study="1"))
        host.clock.at += 1
        with pytest.raises(LedgerUnavailable):
            host.worker().pin(Instance(sop="2.1", study="2").incoming(host.site.device))


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_its_answer_without_the_ledger(status: Status) -> None:
    """As if in grace: whoever was admitted is; whoever was refused is not."""
    refused = {Status.CLOSED, Status.UNPROVISIONED, Status.SUSPENDED}
    assert lets_in_unasked(status, looked_at=5, at=6) is (status not in refused)


def test_without_proposals_nothing_new_enters(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """`when_ledger_unreachable = "refuse"`."""
    with host.outage(monkeypatch), pytest.raises(LedgerUnavailable):
        Admissions(host.ledger).pin(Instance(sop="1.1", study="1").incoming(host.site.device))


def test_one_asks_for_all_every_two_seconds() -> None:
    """Others don't wait for a silence that one of them waits for already."""
    seconds = [0.0]
    pulse = Pulse(monotonic_s=lambda: seconds[0])
    assert pulse.may_ask()
    pulse.failed()
    assert not pulse.may_ask()
    seconds[0] = ASK_AGAIN_S
    assert [pulse.may_ask(), pulse.may_ask()] == [True, False]
    pulse.answered()
    assert pulse.may_ask()


def test_a_process_that_starts_in_an_outage_knows_the_registry(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the snapshot, which is for its owner only."""
    with host.outage(monkeypatch):
        reader = RegistryReader(host.ledger, last_look=LastLook(host.path), pulse=Pulse())
        registry = reader()
    assert registry.institutions == (host.site.institution,)
    assert registry.devices == (host.site.device,)
    assert host.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "at": 3}'])
def test_a_snapshot_that_nobody_can_read_is_none(tmp_path: Path, content: str) -> None:
    """Another version's, or half of one: as if there were none."""
    path = tmp_path / "snapshot.json"
    assert snapshot.read(path) is None
    path.write_text(content)
    assert snapshot.read(path) is None
