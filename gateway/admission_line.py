"""Admissions of one institution that wait at the same moment share one transaction.

Modalities begin in bursts. One after the other, each would wait for the turns and the syncs of all
before it; together they cost one turn and one sync.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from quota.admission import Refused
from storage.admitting import Admission, Asked, Overtaken, Pinned, admit
from storage.admitting_together import admit_together
from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger
from storage.work import SqlWork

TOGETHER_MAX = 32
"""Admissions in one transaction; eight take some 3 ms of processor time, one takes 1."""

Answer: TypeAlias = Pinned | Refused


@dataclass(kw_only=True, eq=False, slots=True)
class _Place:
    """One that waits in the line, until it is called: to hear its answer, or to lead."""

    asked: Asked
    called: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    answer: Answer | None = None
    failure: LedgerUnavailable | None = None


class AdmissionLine:
    """Whoever finds nobody waiting leads: it asks for all who have come by the time the ledger is
    its own, and whoever comes later waits for the next one to lead. Thread-safe."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._mutex = threading.Lock()
        self._waiting: dict[int, deque[_Place]] = {}
        """By institution, as long as somebody leads there."""

    def ask(self, asked: Asked) -> Answer | None:
        """The examination, admitted if it is new; None where it has to be asked for alone.

        Where the ledger does not answer nobody waits for its limit more than twice, unless more
        than `TOGETHER_MAX` wait. Raises LedgerUnavailable, NotFound.
        """
        place = _Place(asked=asked)
        if self._must_wait(place):
            try:
                place.called.wait()
            except BaseException:
                self._leave(place)
                raise
        if place.leads:
            self._lead(place)
        if place.failure is not None:
            # An exception belongs to one thread: its traceback grows where it is raised.
            raise type(place.failure)(*place.failure.args) from place.failure
        return place.answer

    def waiting(self, institution_id: int) -> int | None:
        """How many wait behind whoever leads; None where nobody does."""
        with self._mutex:
            waiting = self._waiting.get(institution_id)
            return None if waiting is None else len(waiting)

    def _must_wait(self, place: _Place) -> bool:
        with self._mutex:
            waiting = self._waiting.get(place.asked.incoming.institution_id)
            if waiting is not None:
                waiting.append(place)
                return True
            self._waiting[place.asked.incoming.institution_id] = deque()
            place.leads = True
            return False

    def _leave(self, place: _Place) -> None:
        """Its wait was broken off: nobody asks for it any more, and it must lead nobody."""
        institution_id = place.asked.incoming.institution_id
        with self._mutex:
            waiting = self._waiting.get(institution_id)
            if waiting is not None and place in waiting:
                waiting.remove(place)
        if place.leads:
            self._hand_on(institution_id)

    def _lead(self, first: _Place) -> None:
        """Answer `first` and those who wait with it. What is neither an answer nor the ledger's
        failure is raised here; the others ask alone then, and hear of their own."""
        institution_id = first.asked.incoming.institution_id
        places = [first]
        try:
            with self._ledger.begin() as work:
                places += self._joining(institution_id, TOGETHER_MAX - 1)
                answers = _admit(work, [place.asked for place in places])
            for place, answer in zip(places, answers, strict=True):
                place.answer = answer
        except LedgerUnavailable as failure:
            # Those who came meanwhile have waited for the same: they need not wait for it again.
            places += self._joining(institution_id)
            for place in places:
                place.failure = failure
        finally:
            self._hand_on(institution_id)
            for place in places:
                place.called.set()

    def _joining(self, institution_id: int, limit: int | None = None) -> list[_Place]:
        """Those who wait, first come first; at most `limit`."""
        with self._mutex:
            waiting = self._waiting[institution_id]
            count = len(waiting) if limit is None else min(limit, len(waiting))
            return [waiting.popleft() for _ in range(count)]

    def _hand_on(self, institution_id: int) -> None:
        with self._mutex:
            waiting = self._waiting[institution_id]
            if not waiting:
                del self._waiting[institution_id]
                return
            following = waiting.popleft()
            following.leads = True
        following.called.set()


def _admit(work: SqlWork, asked: Sequence[Asked]) -> Sequence[Answer | None]:
    """One answer each, committed if anything was written; None for each that must ask alone."""
    answers = admit_together(work, asked) if len(asked) > 1 else _only(admit(work, asked[0]))
    if isinstance(answers, Overtaken):
        return [None] * len(asked)
    if any(isinstance(answer, Pinned) for answer in answers):
        work.commit()
    return answers


def _only(answer: Admission) -> Sequence[Answer] | Overtaken:
    return answer if isinstance(answer, Overtaken) else [answer]
