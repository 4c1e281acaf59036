"""The connections and associations of one acceptor: how many there may be, and how they end.

A connection that has not asked for an association yet is *asking*. There may be so many of these;
the next one takes the place of the oldest one of the source that has most, so that silent peers
shut nobody out: who asks at once is heard, whoever else is there.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gateway.dicom.access import Accepted, Rejection
from gateway.dicom.association import Association
from gateway.dicom.ports import Place, Places

ASKING_MAX = 256
"""Connections that may be asking at the same time."""

SETTLE_S = 0.25
"""How long a drain leaves an idle association to its peer, who may be about to release it."""
_POLL_S = 0.05
_ABORT_S = 1.0
"""How long a drain waits for its last aborts to be sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainReport:
    """What became of the associations that were open when a drain began."""

    ended_themselves: int
    aborted: int
    stores_unanswered: int


class Associations:
    """Safe to use from many threads."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._changed = threading.Condition()
        self._connected: set[Association] = set()
        self._asking: dict[Association, None] = {}
        self._open: dict[Association, Place] = {}
        self._draining = False

    @property
    def open_count(self) -> int:
        """How many associations are accepted and have not ended."""
        return len(self._open)

    @property
    def is_draining(self) -> bool:
        """Whether no message and no association may begin any more."""
        return self._draining

    def connected(self, association: Association) -> None:
        """A connection was made; the oldest one that asks for nothing may have to go for it."""
        with self._changed:
            self._connected.add(association)
            self._asking[association] = None
            overdue = self._overdue() if len(self._asking) > ASKING_MAX else None
            if overdue is not None:
                self._asking.pop(overdue)
            self._changed.notify_all()
        if overdue is not None:
            overdue.expire()

    def ended(self, association: Association) -> None:
        """An association ended, or a connection that never became one."""
        with self._changed:
            self._asking.pop(association, None)
            place = self._open.pop(association, None)
            self._changed.notify_all()
        if place is not None:
            place.leave()

    def closed(self, association: Association) -> None:
        """A connection was closed."""
        with self._changed:
            self._connected.discard(association)

    def take_place(
        self, association: Association, accepted: Accepted, *, called_ae_title: str
    ) -> Rejection | None:
        """Count `association` as open, or say why not; it keeps its place until it ends."""
        with self._changed:
            self._asking.pop(association, None)
            if self._draining:
                return Rejection.CONGESTION
        place = self._places.take(
            accepted, called_ae_title=called_ae_title, source=association.source
        )
        if place is None:
            return Rejection.LOCAL_LIMIT
        with self._changed:
            if not self.is_draining:
                self._open[association] = place
                return None
        place.leave()
        return Rejection.CONGESTION

    def stored(self, association: Association, size_bytes: int) -> None:
        """An instance of `size_bytes` was answered with success."""
        if (place := self._open.get(association)) is not None:
            place.stored(size_bytes)

    def expire_overdue(self, now_s: float) -> float:
        """End the connections whose peers are waited for longer than until `now_s` (monotonic).

        Returns when the next one is due, infinity if none is waited for.
        """
        with self._changed:
            connected = tuple(self._connected)
        due_s = math.inf
        for association in connected:
            deadline_s = association.connection.deadline_s
            if deadline_s <= now_s:
                association.expire()
            else:
                due_s = min(due_s, deadline_s)
        return due_s

    def wait_for_connections(self) -> None:
        """Return once there is a connection."""
        with self._changed:
            self._changed.wait_for(lambda: self._connected)

    def _overdue(self) -> Association:
        counts = Counter(association.source for association in self._asking)
        (source, _), *_ = counts.most_common(1)
        return next(one for one in self._asking if one.source == source)

    def drain(self, timeout_s: float) -> DrainReport:
        """Let the stores in flight end with their answers, abort what is then open, and return.

        A store is in flight from its first byte on. No other begins: an association is aborted
        when it would begin one, when it stays idle for a moment, or at the latest after
        `timeout_s`.
        """
        began_s = time.monotonic()
        with self._changed:
            self._draining = True
            present = tuple(self._open)

        def settled(association: Association) -> bool:
            idle_since_s = max(association.idle_since_s, began_s)
            return not association.is_busy and time.monotonic() - idle_since_s >= SETTLE_S

        self._abort_until(began_s + timeout_s, settled)
        unanswered = sum(association.is_busy for association in self._snapshot())
        self._abort_until(time.monotonic() + _ABORT_S, lambda _: True)
        aborted = sum(association.was_aborted_here for association in present)
        return DrainReport(
            ended_themselves=len(present) - aborted, aborted=aborted, stores_unanswered=unanswered
        )

    def _abort_until(self, deadline_s: float, condition: Callable[[Association], bool]) -> None:
        """Abort what meets `condition`, until none is open or the monotonic clock says so."""
        while self._open and time.monotonic() < deadline_s:
            for association in self._snapshot():
                if condition(association):
                    association.abort_now()
            with self._changed:
                if self._open:
                    self._changed.wait(_POLL_S)

    def _snapshot(self) -> tuple[Association, ...]:
        with self._changed:
            return tuple(self._open)
