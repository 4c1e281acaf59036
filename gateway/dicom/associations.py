"""The connections and associations of one acceptor: how many there may be, and how they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.dicom.access import Rejection
from gateway.dicom.upper_layer import GatewayAssociation

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

    def __init__(self, *, associations_max: int) -> None:
        self._associations_max = associations_max
        self._changed = threading.Condition()
        self._connected: set[GatewayAssociation] = set()
        self._open: set[GatewayAssociation] = set()
        self._draining = False

    @property
    def connected_count(self) -> int:
        """How many connections are open, associated or not."""
        return len(self._connected)

    @property
    def open_count(self) -> int:
        """How many associations are accepted and have not ended."""
        return len(self._open)

    @property
    def is_draining(self) -> bool:
        """Whether no message and no association may begin any more."""
        return self._draining

    def began(self, association: GatewayAssociation) -> None:
        """A connection's thread begins."""
        with self._changed:
            self._connected.add(association)

    def ended(self, association: GatewayAssociation) -> None:
        """A connection's thread ends."""
        with self._changed:
            self._connected.discard(association)
            self._open.discard(association)
            self._changed.notify_all()

    def take_place(self, association: GatewayAssociation) -> Rejection | None:
        """Count `association` as open, or say why not; it keeps its place until it ends."""
        with self._changed:
            if self._draining:
                return Rejection.CONGESTION
            if len(self._open) >= self._associations_max:
                return Rejection.LOCAL_LIMIT
            self._open.add(association)
            return None

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

        def settled(association: GatewayAssociation) -> bool:
            idle_since_s = max(association.idle_since_s, began_s)
            return not association.is_busy and time.monotonic() - idle_since_s >= SETTLE_S

        self._abort_until(began_s + timeout_s, settled)
        unanswered = sum(association.is_busy for association in self._snapshot())
        self._abort_until(time.monotonic() + _ABORT_S, lambda _: True)
        aborted = sum(association.was_aborted_here for association in present)
        return DrainReport(
            ended_themselves=len(present) - aborted, aborted=aborted, stores_unanswered=unanswered
        )

    def _abort_until(
        self, deadline_s: float, condition: Callable[[GatewayAssociation], bool]
    ) -> None:
        """Abort what meets `condition`, until none is open or the monotonic clock says so."""
        while self._open and time.monotonic() < deadline_s:
            for association in self._snapshot():
                if condition(association):
                    association.abort_now()
            with self._changed:
                if self._open:
                    self._changed.wait(_POLL_S)

    def _snapshot(self) -> tuple[GatewayAssociation, ...]:
        with self._changed:
            return tuple(self._open)
