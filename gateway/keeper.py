"""The keeper: what happens because time passes. One per database, elected by a lock.

It credits paid orders, books boundaries that have passed, completes quiet examinations, removes
the objects of deleted ones, and once a day verifies the ledger and removes orphaned objects.
Nothing waits for it: reads and admissions count boundaries in by themselves (TIME-3, TIME-4), so a
keeper that did not run changes no answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from quota import reminder, service
from quota.notice import Notice
from quota.opening import close_month
from quota.order import Order
from storage.anchors import anchor_journal
from storage.archive import Archive
from storage.archive.checking import Verdict
from storage.bookkeeping import (
    due_meters,
    licences_to_remind,
    meters_to_close,
    meters_to_remind,
    services_to_remind,
)
from storage.clock_guard import beat
from storage.conflicts import Expired, Limits, expire
from storage.deletion import delete_objects, objects_to_delete
from storage.engine import system_clock
from storage.examinations import complete_quiet
from storage.ledger import SqlLedger
from storage.never_stored import reverse_never_stored
from storage.notices import note_delivered, undelivered
from storage.scrub import Scrubber
from storage.sweep import sweep
from storage.verify import Report, verify

INTERVAL_S = 1.0
PAUSE_MAX_S = 8.0
"""Between rounds that fail, and how long what was paid meanwhile may wait for its credit."""
CLOCK_S = 10.0
DAILY_S = 86_400.0
QUARANTINE_S = 60.0
NEVER_STORED_S = 60.0
"""The first time as well: after an upgrade every worker is to have registered its spools."""
DAILY_RETRY_S = 900.0
_COMPLETED_PER_ROUND = 500
_DELETED_PER_ROUND = 1_000
_TOLD_PER_ROUND = 500
_REVERSED_PER_ROUND = 50


class KeeperObserver(Protocol):
    """What the keeper tells: past-tense facts with ids."""

    def order_credited(self, order: Order) -> None:
        """A paid order became packages."""

    def notice_raised(self, notice: Notice) -> None:
        """Somebody is to be told; today the log is the only channel."""

    def examination_completed(self, examination_id: str) -> None:
        """An examination's quiet period is over."""

    def never_stored_reversed(self, examination_id: str) -> None:
        """A charge was taken back: no instance of its examination was ever stored."""

    def conflict_expired(self, expired: Expired) -> None:
        """An instance that was set aside was removed undecided."""

    def object_damaged(self, verdict: Verdict) -> None:
        """An object is missing or not what was put."""

    def objects_swept(self, count: int) -> None:
        """Objects that a killed process left unfiled were removed."""

    def ledger_verified(self, report: Report) -> None:
        """The daily verification ran."""

    def keeper_failed(self, error: Exception) -> None:
        """A round failed; the next one tries again."""


def credit_paid_orders(ledger: SqlLedger, *, credited: Callable[[Order], None]) -> int:
    """Credit every paid order, each in its own transaction; returns how many."""
    with ledger.read() as view:
        numbers = view.orders_to_credit()
    for number in numbers:
        with ledger.begin() as work:
            order = service.credit(work, number)
            work.commit()
        credited(order)
    return len(numbers)


class Keeper:
    """Runs rounds on its own thread until stopped."""

    def __init__(
        self,
        ledger: SqlLedger,
        observer: KeeperObserver,
        *,
        archive: Archive,
        quarantine: Limits | None = None,
    ) -> None:
        self._ledger = ledger
        self._observer = observer
        self._archive = archive
        self._scrubber = Scrubber(ledger, archive)
        self._quarantine = quarantine or Limits()
        self._stop = threading.Event()
        self._daily_in_s = INTERVAL_S
        self._quarantine_in_s = INTERVAL_S
        self._clock_in_s = INTERVAL_S
        self._never_stored_in_s = NEVER_STORED_S

    def run(self) -> None:
        """Work until `stop` is called; while rounds fail, at longer and longer intervals."""
        pause_s = INTERVAL_S
        while not self._stop.is_set():
            try:
                self.round()
                pause_s = INTERVAL_S
            except Exception as error:  # noqa: BLE001 - a keeper that ended would be missed by
                # nobody before somebody's payment is; each step has rolled back by itself.
                self._observer.keeper_failed(error)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
            self._stop.wait(pause_s)

    def stop(self) -> None:
        """Let the round in progress end, and no other begin."""
        self._stop.set()

    def round(self) -> None:
        """One round of everything that is due. Raises what a step of it raises."""
        self._note_clock()
        credit_paid_orders(self._ledger, credited=self._observer.order_credited)
        self._book_boundaries()
        self._remind()
        self._tell()
        self._complete_examinations()
        self._reverse_never_stored()
        self._expire_conflicts()
        self._delete_objects()
        self._scrub()
        self._daily_if_due()

    def _note_clock(self) -> None:
        """The first transaction of a round: where the clock is held, the round ends here."""
        with self._ledger.begin() as work:
            self._clock_in_s -= INTERVAL_S
            if self._clock_in_s <= 0:
                beat(work)
                work.commit()
                self._clock_in_s = CLOCK_S

    def _book_boundaries(self) -> None:
        with self._ledger.read() as view:
            due, quiet = due_meters(view), meters_to_close(view)
        for account_id, meter in due:
            with self._ledger.begin() as work:
                if service.materialise(work, work.account(account_id), meter):
                    work.commit()
        for account_id, meter in quiet:
            with self._ledger.begin() as work:
                close_month(work, work.account(account_id), meter)
                work.commit()

    def _remind(self) -> None:
        with self._ledger.read() as view:
            due, ending = meters_to_remind(view), licences_to_remind(view)
            lapsing = services_to_remind(view)
        for account_id, meter in due:
            with self._ledger.begin() as work:
                reminder.remind(work, work.account(account_id), meter)
                work.commit()
        for licence in ending:
            with self._ledger.begin() as work:
                reminder.remind_licence(work, licence)
                work.commit()
        for bought in lapsing:
            with self._ledger.begin() as work:
                reminder.remind_service(work, bought)
                work.commit()

    def _tell(self) -> None:
        with self._ledger.read() as view:
            notices = undelivered(view, limit=_TOLD_PER_ROUND)
        for notice in notices:
            self._observer.notice_raised(notice)
        if notices:
            with self._ledger.begin() as work:
                note_delivered(work, [notice.key for notice in notices])
                work.commit()

    def _complete_examinations(self) -> None:
        with self._ledger.begin() as work:
            completed = complete_quiet(work, limit=_COMPLETED_PER_ROUND)
            if completed:
                work.commit()
        for examination_id in completed:
            self._observer.examination_completed(examination_id)

    def _reverse_never_stored(self) -> None:
        self._never_stored_in_s -= INTERVAL_S
        if self._never_stored_in_s > 0:
            return
        for examination_id in reverse_never_stored(self._ledger, limit=_REVERSED_PER_ROUND):
            self._observer.never_stored_reversed(examination_id)
        self._never_stored_in_s = NEVER_STORED_S

    def _expire_conflicts(self) -> None:
        self._quarantine_in_s -= INTERVAL_S
        if self._quarantine_in_s > 0:
            return
        with self._ledger.begin() as work:
            expired = expire(work, self._quarantine, limit=_DELETED_PER_ROUND)
            if expired:
                work.commit()
        for one in expired:
            self._observer.conflict_expired(one)
        self._quarantine_in_s = QUARANTINE_S

    def _delete_objects(self) -> None:
        with self._ledger.read() as view:
            objects = objects_to_delete(view, limit=_DELETED_PER_ROUND)
        if objects:
            with self._ledger.begin() as work:
                delete_objects(work, self._archive, objects)
                work.commit()

    def _scrub(self) -> None:
        for verdict in self._scrubber.step(INTERVAL_S).damaged:
            self._observer.object_damaged(verdict)

    def _daily_if_due(self) -> None:
        self._daily_in_s -= INTERVAL_S
        if self._daily_in_s > 0:
            return
        self._daily_in_s = DAILY_RETRY_S
        with self._ledger.read() as view:
            report = verify(view, archive=self._archive, fresh=self._ledger.read)
        self._observer.ledger_verified(report)
        if report.ok:
            with self._ledger.begin() as work:
                anchor_journal(work)
                work.commit()
        self._sweep()
        self._daily_in_s = DAILY_S

    def _sweep(self) -> None:
        now = system_clock()
        if removed := sum(sweep(self._ledger, self._archive, now=now)):
            self._observer.objects_swept(removed)
