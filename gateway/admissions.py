"""What this worker knows of examinations: pinned ones pass at once, new ones ask the ledger.

A pin holds for ever (KEY-3), so it is kept without asking again; a refusal is remembered for a
second, so that a refused study does not ask a thousand times and a top-up works at once. Neither
ever admits: only the ledger's transaction does, and, where it can't be asked, `gateway/outage.py`.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from gateway.admission_line import AdmissionLine
from gateway.outage import ANSWER_S, Proposals, Pulse
from quota.admission import Refused
from quota.errors import QuotaError
from quota.service import Admitted
from storage.admitting import Asked, Overtaken, Pinned, admit, look
from storage.errors import LedgerUnavailable
from storage.ledger import SqlLedger
from storage.records import Incoming
from storage.rehearsal import rehearse_admission

PINNED_MAX = 20_000
"""Studies remembered; one that fell out is asked for again."""
REFUSAL_S = 1.0
_ATTEMPTS_MAX = 5
"""How often others may overtake one admission before we answer a failure."""

_Study: TypeAlias = tuple[int, str]
"""(institution id, Study Instance UID)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """Where an instance belongs; `provisional` where the ledger could not be asked."""

    examination_id: str
    generation: int = 0
    provisional: bool = False
    admission: Admitted | None = None
    """Set for the first instance of a new examination."""
    proposed: bool = False
    """Set for the first instance of an examination that was let in without the ledger."""


class Admissions:
    """Pins examinations. Safe to call from many threads."""

    def __init__(
        self,
        ledger: SqlLedger,
        *,
        proposals: Proposals | None = None,
        pulse: Pulse | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`proposals` lets in while the ledger can't be asked; without it, nothing new enters."""
        self._ledger = ledger.within(ANSWER_S)
        self._line = AdmissionLine(self._ledger)
        self._proposals = proposals
        self._pulse = pulse or Pulse(monotonic_s=monotonic_s)
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._pins: OrderedDict[_Study, Pin] = OrderedDict()
        self._refusals: OrderedDict[_Study, tuple[float, Refused]] = OrderedDict()

    def pin(self, incoming: Incoming) -> Pin | Refused:
        """The instance's examination, admitted now if it is new. Raises LedgerUnavailable."""
        study = incoming.institution_id, incoming.study_instance_uid
        if (known := self._remembered(study)) is not None:
            return known
        try:
            found = self._answer(incoming)
        except LedgerUnavailable:
            if (let_in := self._let_in(incoming)) is None:
                raise
            return let_in
        if isinstance(found, Refused):
            # ADM-1: an examination that was let in goes on until it is filed, and then for ever.
            if (proposed := self._proposed(incoming)) is not None:
                return Pin(examination_id=proposed, provisional=True)
            self._remember_refusal(study, found)
            return found
        pin = Pin(examination_id=found.examination_id, generation=found.generation)
        if found.by_study:
            self._remember(study, pin)
            self._settle(incoming)
        return Pin(
            examination_id=pin.examination_id,
            generation=pin.generation,
            admission=found.admission,
        )

    def rehearse(self) -> None:
        """Have this process's first admission cost what the others do; it admits nobody.

        Nothing hangs on how it ends: who is not admitted later is told why. Raises
        DurabilityTooWeak.
        """
        if not self._pulse.may_ask():
            return
        try:
            with self._ledger.begin() as work, suppress(QuotaError):
                rehearse_admission(work, new_examination_id())
        except LedgerUnavailable:
            self._pulse.failed()
        else:
            self._pulse.answered()

    def _answer(self, incoming: Incoming) -> Pinned | Refused:
        """What the ledger says, if it is worth asking. Raises LedgerUnavailable."""
        if not self._pulse.may_ask():
            raise LedgerUnavailable("the database did not answer a moment ago")
        try:
            found = self._ask(incoming)
        except LedgerUnavailable:
            self._pulse.failed()
            raise
        self._pulse.answered()
        return found

    def _let_in(self, incoming: Incoming) -> Pin | None:
        if self._proposals is None:
            return None
        with self._lock:
            proposal = self._proposals.propose(incoming, new_examination_id)
        if proposal is None:
            return None
        return Pin(
            examination_id=proposal.examination_id, provisional=True, proposed=proposal.is_new
        )

    def _proposed(self, incoming: Incoming) -> str | None:
        if self._proposals is None:
            return None
        with self._lock:
            return self._proposals.known(incoming)

    def _ask(self, incoming: Incoming) -> Pinned | Refused:
        with self._ledger.read() as view:
            known = look(view, incoming)
        if isinstance(known, Pinned):
            return known
        proposed_id = self._proposed(incoming) or new_examination_id()
        asked = Asked(incoming=incoming, proposed_id=proposed_id)
        # What is on record and has to change touches rows of others: it does that alone.
        found = self._line.ask(asked) if known is None else None
        return found or self._ask_alone(asked)

    def _ask_alone(self, asked: Asked) -> Pinned | Refused:
        for _ in range(_ATTEMPTS_MAX):
            with self._ledger.begin() as work:
                decided = admit(work, asked)
                if isinstance(decided, Pinned):
                    work.commit()
            if not isinstance(decided, Overtaken):
                return decided
        raise LedgerUnavailable("associations kept overtaking one another on one examination")

    def _settle(self, incoming: Incoming) -> None:
        if self._proposals is not None:
            with self._lock:
                self._proposals.settled(incoming)

    def _remembered(self, study: _Study) -> Pin | Refused | None:
        with self._lock:
            if (pin := self._pins.get(study)) is not None:
                self._pins.move_to_end(study)
                return pin
            until_s, refused = self._refusals.get(study, (0.0, None))
            return refused if self._monotonic_s() < until_s else None

    def _remember(self, study: _Study, pin: Pin) -> None:
        with self._lock:
            self._refusals.pop(study, None)
            self._pins[study] = pin
            if len(self._pins) > PINNED_MAX:
                self._pins.popitem(last=False)

    def _remember_refusal(self, study: _Study, refused: Refused) -> None:
        with self._lock:
            self._refusals[study] = (self._monotonic_s() + REFUSAL_S, refused)
            self._refusals.move_to_end(study)
            if len(self._refusals) > PINNED_MAX:
                self._refusals.popitem(last=False)


def new_examination_id() -> str:
    """A UUID of version 7 (RFC 9562 5.7): made here without asking anybody, and rising in time.

    Rising keys keep the index of a million examinations warm at one end only.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))
