"""Never stored (design §7): a charge is taken back only where no spool can hold an instance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from quota.account import CAPACITY, Plan
from quota.action import By
from quota.order import TERABYTE, LineRequest, Rejected
from quota.time import Instant
from storage.admitting import Pinned
from storage.filing import Filed
from storage.ledger import SqlLedger
from storage.never_stored import reverse_never_stored
from storage.placing import Arrival
from storage.spool_register import (
    SpoolReport,
    SpoolState,
    beat,
    declare_lost,
    register,
    registered,
    unseen_count,
)
from storage.work import SqlWork
from tests.quota.makers import DAY, HOUR, SECOND
from tests.storage.hospital import Instance, Site
from tests.storage.kit import HandClock, add_account, dump, reading, top_up
from tests.storage.operator import ME
from tests.storage.shop import buy

A = "0d8f3f5e-6d0c-4c52-9a53-6f1f3c0b8a11"
B = "1d8f3f5e-6d0c-4c52-9a53-6f1f3c0b8a12"
INSTANCE = Instance(sop="1.2.3.9.0")
MINUTE = 60 * SECOND


def seen(
    ledger: SqlLedger, spool_id: str, *, through: Instant | None, emptied: bool = False
) -> None:
    """A worker registers its spool, and says through when it is filed."""
    report = SpoolReport(
        id=spool_id,
        host="gate-1",
        records=0 if emptied else 3,
        bytes=0 if emptied else 1_000,
        limit_bytes=10_000,
        oldest_received_at=None,
        filed_through=through,
        emptied=emptied,
    )
    with ledger.begin() as work:
        register(work, spool_id, host="gate-1")
        beat(work, report)
        work.commit()


def reversed_now(ledger: SqlLedger) -> list[str]:
    """One step of the keeper."""
    return reverse_never_stored(ledger, limit=10)


@pytest.fixture
def admitted(site: Site, clock: HandClock) -> str:
    """An examination that was admitted a day and a second ago, and of which nothing came."""
    top_up(site.ledger, site.account, "SO-1", 5)
    pinned = site.admit(INSTANCE)
    assert isinstance(pinned, Pinned)
    assert pinned.admission is not None
    clock.at = pinned.admission.admitted_at + DAY + SECOND
    return pinned.examination_id


def test_a_charge_is_reversed_once_and_journaled(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """By the keeper; the examination stays on record, and the unit returns to its package."""
    seen(site.ledger, A, through=clock.at)

    assert reversed_now(site.ledger) == [admitted]
    assert reversed_now(site.ledger) == []

    found = reading(site.ledger, site.account)
    assert (found.available, found.used) == (5, 0)
    assert [row.id for row in site.examinations()] == [admitted]
    actions = [row[2:5] for row in dump(site.ledger)["operator_actions"]]
    assert actions == [("keeper", "never_stored", admitted)]


def test_nothing_is_reversed_before_a_day_is_over(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """Past admission + 24 h: neither at it nor before it."""
    clock.at -= SECOND
    seen(site.ledger, A, through=clock.at)
    assert reversed_now(site.ledger) == []

    clock.at += 1
    seen(site.ledger, A, through=clock.at)
    assert reversed_now(site.ledger) == [admitted]


def test_without_a_register_nothing_is_known(site: Site, admitted: str) -> None:
    """After an upgrade spools exist that nobody has registered yet."""
    assert admitted
    assert reversed_now(site.ledger) == []


def test_one_spool_that_lags_blocks_every_reversal(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """Its oldest record may be the instance that is missed."""
    seen(site.ledger, A, through=clock.at)
    seen(site.ledger, B, through=clock.at - SECOND)
    assert reversed_now(site.ledger) == []

    seen(site.ledger, B, through=clock.at)
    assert reversed_now(site.ledger) == [admitted]


def test_a_spool_that_was_never_told_of_blocks(site: Site, clock: HandClock, admitted: str) -> None:
    """Registered at its opening, before anything is known of what it holds."""
    assert admitted
    seen(site.ledger, A, through=clock.at)
    seen(site.ledger, B, through=None)
    clock.at += 30 * DAY
    seen(site.ledger, A, through=clock.at)

    assert reversed_now(site.ledger) == []


def test_an_unseen_spool_blocks_until_it_is_declared_lost(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """Only an operator may give up what a disk may hold; journaled, and not while it serves."""
    seen(site.ledger, A, through=clock.at - DAY)
    assert _declare_lost(site, A) == "SPOOL-LOST"
    clock.at += 15 * MINUTE
    with site.ledger.read() as view:
        assert unseen_count(view) == 1
    assert reversed_now(site.ledger) == []

    assert _declare_lost(site, A) is SpoolState.LOST

    assert reversed_now(site.ledger) == [admitted]
    actions = [row[2:4] for row in dump(site.ledger)["operator_actions"]]
    assert actions == [("anna", "spool_lost"), ("keeper", "never_stored")]
    with site.ledger.read() as view:
        assert unseen_count(view) == 0


def _declare_lost(site: Site, spool_id: str) -> str | SpoolState | None:
    with site.ledger.begin() as work:
        outcome = declare_lost(work, spool_id, by=By(actor=ME.actor, reason="the disk burnt"))
        if isinstance(outcome, Rejected):
            return outcome.rule
        work.commit()
    return None if outcome is None else outcome.state


def test_a_lost_spool_that_is_opened_again_counts_again(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """What it holds is to be filed first; the finding is journaled."""
    assert admitted
    seen(site.ledger, A, through=clock.at - DAY)
    clock.at += 15 * MINUTE
    _declare_lost(site, A)

    seen(site.ledger, A, through=None)

    assert reversed_now(site.ledger) == []
    with site.ledger.read() as view:
        assert [one.state for one in registered(view)] == [SpoolState.SERVING]


def test_a_spool_closed_with_nothing_in_it_blocks_nobody(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """Its host may be switched off for good, or the directory removed."""
    seen(site.ledger, B, through=clock.at - DAY, emptied=True)
    clock.at += DAY
    seen(site.ledger, A, through=clock.at)

    with site.ledger.read() as view:
        assert unseen_count(view) == 0
        states = {one.id: one.state for one in registered(view)}
    assert states == {A: SpoolState.SERVING, B: SpoolState.IDLE}
    assert reversed_now(site.ledger) == [admitted]


def test_filed_through_never_moves_backwards(site: Site, clock: HandClock) -> None:
    """A worker that starts anew knows less than the one before; what was filed stays filed."""
    for through in (clock.at, clock.at - DAY, None):
        seen(site.ledger, A, through=through)
        with site.ledger.read() as view:
            assert [one.filed_through for one in registered(view)] == [clock.at]


def test_an_examination_with_an_instance_keeps_its_charge(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """Something was stored."""
    pinned = Pinned(examination_id=admitted, generation=0, admission=None, by_study=True)
    (filed,) = site.file(*site.put(site.arrival(INSTANCE, pinned)))
    assert isinstance(filed, Filed)
    clock.at += DAY
    seen(site.ledger, A, through=clock.at)

    assert reversed_now(site.ledger) == []


def test_a_record_that_turns_up_after_the_reversal_is_charged_again(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """Design §7: by filing it, once."""
    pinned = Pinned(examination_id=admitted, generation=0, admission=None, by_study=True)
    late = site.arrival(INSTANCE, pinned)
    seen(site.ledger, A, through=clock.at)
    assert reversed_now(site.ledger) == [admitted]

    (filed,) = site.file(*site.put(late))

    assert isinstance(filed, Filed)
    assert filed.admission is not None
    found = reading(site.ledger, site.account)
    assert (found.available, found.used) == (4, 1)
    clock.at += 2 * HOUR
    seen(site.ledger, A, through=clock.at)
    assert reversed_now(site.ledger) == []


def test_a_resend_after_the_reversal_is_charged_again(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """ADM-5: after a reversal it is new, and keeps its id."""
    seen(site.ledger, A, through=clock.at)
    reversed_now(site.ledger)

    again = site.send(INSTANCE)

    assert isinstance(again, Filed)
    assert again.examination_id == admitted
    assert reading(site.ledger, site.account).used == 1


def test_an_account_that_buys_capacity_has_nothing_to_reverse(
    site: Site, clock: HandClock, tmp_path: Path
) -> None:
    """Where the plan counts bytes, nothing was charged for what never came."""
    account = add_account(site.ledger, "Bytes", plan=Plan.PER_CAPACITY)
    other = Site(site.ledger, account, tmp_path / "other", name="Bytes")
    line = LineRequest(meter=CAPACITY, quantity=TERABYTE, years=1)
    buy(site.ledger, account, "SO-C", line, institution_id=other.institution.id)
    assert isinstance(other.admit(INSTANCE), Pinned)
    clock.at += 2 * DAY
    seen(site.ledger, A, through=clock.at)
    before = dump(site.ledger)

    assert reversed_now(site.ledger) == []
    assert dump(site.ledger) == before


class FilesFirst(SqlLedger):
    """A ledger on which a filer gets in between the keeper's look and its transaction."""

    def __init__(self, site: Site, placed: Arrival) -> None:
        with site.ledger.read() as view:
            super().__init__(site.ledger.database, view.clock)
        self._site = site
        self._placed = placed

    @contextmanager
    def begin(self) -> Iterator[SqlWork]:
        """The other one's transaction, then ours."""
        self._site.file(self._placed)
        with super().begin() as work:
            yield work


def test_a_batch_that_files_between_look_and_reversal_has_won(
    site: Site, clock: HandClock, admitted: str
) -> None:
    """What was seen before the locks decides nothing (§13)."""
    pinned = Pinned(examination_id=admitted, generation=0, admission=None, by_study=True)
    (placed,) = site.put(site.arrival(INSTANCE, pinned))
    seen(site.ledger, A, through=clock.at)

    assert reverse_never_stored(FilesFirst(site, placed), limit=10) == []

    assert reading(site.ledger, site.account).used == 1
