"""Capacity under anything: the model, memory, SQLite and PostgreSQL side by side (§7, §14)."""

from __future__ import annotations

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from sqlalchemy import delete, insert, update

from quota import correction, service
from quota.account import CAPACITY, Account, Plan
from quota.action import By
from quota.admission import Permitted, decide
from quota.order import LineRequest, Rejected
from storage import tables as t
from storage.work import SqlWork
from tests.storage import kit
from tests.storage.reference_capacity import CapacityReference
from tests.storage.side_by_side import DAY, SPANS, SideBySide

ZONES = {"Asia/Shanghai": 8, "Pacific/Pago_Pago": -11}
ME = By(actor="anna", reason="agreed")
PICKS = st.integers(0, 99)
EXAMINATION = "examination-1"


class Capacity(SideBySide):
    """One account that pays for bytes, of which it has few; objects come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.model = CapacityReference(hours=0)
        self.names = 0

    @initialize(zone=st.sampled_from(sorted(ZONES)))
    def found_hospital(self, zone: str) -> None:
        """An account on one side of the date line or the other, with one examination."""
        self.model.hours = ZONES[zone]
        for ledger in self.ledgers:
            self.accounts[1] = kit.add_account(ledger, plan=Plan.PER_CAPACITY, timezone=zone)
            with ledger.begin() as work:
                if isinstance(work, SqlWork):
                    _add_examination(work, self.accounts[1])
                work.commit()

    @rule(span=st.sampled_from([*SPANS, 364 * DAY]))
    def wait(self, span: int) -> None:
        """Time passes, stands still, or somebody corrects the host's clock."""
        self.clock.at += span

    @precondition(lambda self: self.boundaries())
    @rule(pick=PICKS, offset=st.sampled_from([-1, 0, 1]))
    def go_to_a_boundary(self, pick: int, offset: int) -> None:
        """A beginning, an end or a deadline, give or take a microsecond."""
        boundaries = self.boundaries()
        self.clock.at = boundaries[pick % len(boundaries)] + offset

    def boundaries(self) -> list[int]:
        """Instants at which answers change."""
        terms = self.model.terms
        found = {term.begins for term in terms} | {term.expires for term in terms}
        if self.model.deadline is not None:
            found.add(self.model.deadline)
        return sorted(found)

    @rule(
        size=st.sampled_from([5, 10, 20]),
        years=st.sampled_from([1, 1, 3]),
        late=st.sampled_from([0, 0, 1, DAY, 366 * DAY]),
    )
    def buy_bytes(self, size: int, years: int, late: int) -> None:
        """Capacity, credited at once, late, or too late."""
        self._buy(size, years=years, late=late, renews=None)

    @precondition(lambda self: self.model.terms)
    @rule(pick=PICKS, size=st.sampled_from([5, 10, 20]), late=st.sampled_from([0, 0, DAY]))
    def renew(self, pick: int, size: int, late: int) -> None:
        """A renewal of any package, early, or when it is over."""
        self._buy(size, years=1, late=late, renews=pick % len(self.model.terms))

    def _buy(self, size: int, *, years: int, late: int, renews: int | None) -> None:
        number, paid = f"TB-{len(self.model.terms)}", self.clock.at
        # Packages are credited in one order everywhere, so their numbers are positions.
        renewed = None if renews is None else renews + 1
        line = LineRequest(meter=CAPACITY, quantity=size, years=years, renews_package_id=renewed)
        self.buy(1, number, line, late=late)
        self.model.credit(number, size, years=years, renews=renews, paid=paid, now=self.clock.at)

    @precondition(lambda self: self.model.terms)
    @rule(pick=PICKS)
    def void(self, pick: int) -> None:
        """An order is taken back, begun or ahead; or once more."""
        number = self.model.terms[pick % len(self.model.terms)].order
        with self.sqlite.read() as view:
            order = view.order(number)
        assert order is not None
        if order.voided_at is None:
            self.model.void(number, self.clock.at)
        self.on_all(lambda work: correction.void_order(work, number, by=ME))

    @rule(size=st.integers(1, 9))
    def store(self, size: int) -> None:
        """An instance of a known examination: it passes whatever the state (CAP-4)."""
        self.names += 1
        name = f"1.2.{self.names}"
        self.model.store(name, size, self.clock.at)
        self._move(name, size)

    @precondition(lambda self: self.model.objects)
    @rule(pick=PICKS)
    def delete(self, pick: int) -> None:
        """An instance is deleted; deletion is never refused (CAP-2)."""
        names = list(self.model.objects)
        name = names[pick % len(names)]
        size = self.model.objects[name]
        self.model.delete(name, self.clock.at)
        self._move(name, -size)

    def _move(self, name: str, delta: int) -> None:
        for ledger in self.ledgers:
            with ledger.begin() as work:
                level = service.open_level(work, self.accounts[1])
                if isinstance(work, SqlWork):
                    _note_instance(work, name, delta)
                service.move_level(work, level, delta)
                work.commit()

    @rule(span=st.sampled_from([0, 1, DAY]))
    def extend(self, span: int) -> None:
        """A deadline is moved, if there is one."""
        until = (self.model.peek(self.clock.at).deadline or self.clock.at) + span
        stands = self.model.extend(until, self.clock.at)
        for outcome in self.on_all(
            lambda work: correction.extend(work, self.accounts[1], until=until, by=ME)
        ):
            assert isinstance(outcome, Rejected) is not stands

    @rule()
    def write_off(self) -> None:
        """Bytes that stay stored can't be forgiven."""
        for outcome in self.on_all(
            lambda work: correction.write_off(work, self.accounts[1], units=1, by=ME)
        ):
            assert isinstance(outcome, Rejected)

    @rule()
    def sweep(self) -> None:
        """The keeper comes round; what it books changes nothing but the last instant."""
        booked = set()
        for ledger in self.ledgers:
            with ledger.begin() as work:
                booked.add(service.materialise(work, self.accounts[1], CAPACITY))
                work.commit()
        assert len(booked) == 1
        if booked.pop():
            self.model.begin(self.clock.at)

    @invariant()
    def all_answer_the_same(self) -> None:
        """The model and the stores agree on status, level, limit, debt and grace."""
        if not self.accounts:
            return
        seen = self.model.peek(self.clock.at)
        limit = self.model.limit(seen.last)
        event(f"the account is {self.model.status(self.clock.at)}")
        for ledger in self.ledgers:
            with ledger.read() as view:
                found = service.read_meter(view, self.accounts[1], CAPACITY)
            episode = found.meter.episode
            assert (found.status, found.meter.stored, found.meter.limit) == (
                self.model.status(self.clock.at),
                self.model.stored,
                limit,
            )
            assert found.owed == (max(0, self.model.stored - limit) if self.model.terms else 0)
            assert (episode.started_at if episode else None) == seen.since
            assert (episode.deadline if episode else None) == seen.deadline
            refuses = not isinstance(decide(found.standing, at=found.at), Permitted)
            assert refuses is (found.status in {"unprovisioned", "suspended"})

    @invariant()
    def every_invariant_holds(self) -> None:
        """§12."""
        self.verify_both()

    def teardown(self) -> None:
        """The same journal on both databases."""
        self.close()


def _add_examination(work: SqlWork, account: Account) -> None:
    now: dict[str, object] = {"created_at": work.clock()}
    work.insert_missing(t.institutions, {**now, "id": 1, "name": "H", "account_id": account.id})
    device: dict[str, object] = {**now, "id": 1, "institution_id": 1}
    work.insert_missing(t.devices, {**device, "ae_title": "CT", "grouping": "study"})
    text = ("study_instance_uid", "accession", "patient_id", "patient_name", "modality")
    row: dict[str, object] = dict.fromkeys((*text, "study_date", "study_description"), "")
    ids = {"id": EXAMINATION, "institution_id": 1, "account_id": account.id, "device_id": 1}
    times = {"admitted_at": 0, "quiet_until": 0}
    row |= ids | times | {"key": "1.2", "patient_id_raw": b""}
    work.insert_missing(t.examinations, row)


def _note_instance(work: SqlWork, name: str, delta: int) -> None:
    """The row that the bytes belong to, as filing and deletion would have it."""
    if delta > 0:
        text = ("study_instance_uid", "series_instance_uid", "sop_class_uid", "sha256")
        row: dict[str, object] = dict.fromkeys((*text, "transfer_syntax_uid", "object_key"), "")
        row |= {"institution_id": 1, "sop_instance_uid": name, "examination_id": EXAMINATION}
        row |= {"device_id": 1, "size_bytes": delta, "filed_at": 0}
        work.connection.execute(insert(t.instances).values(row))
    else:
        work.connection.execute(delete(t.instances).where(t.instances.c.sop_instance_uid == name))
    work.connection.execute(
        update(t.examinations)
        .where(t.examinations.c.id == EXAMINATION)
        .values(
            instances=t.examinations.c.instances + (1 if delta > 0 else -1),
            bytes=t.examinations.c.bytes + delta,
        )
    )


# The full profile takes its time.
TestCapacity = pytest.mark.timeout(3 * 3_600)(pytest.mark.slow(Capacity.TestCase))
