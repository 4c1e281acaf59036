"""While the ledger can't be asked: whom this worker lets in, and when it asks again (design §7)."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from quota.time import Clock
from storage import snapshot
from storage.engine import system_clock
from storage.records import Incoming
from storage.snapshot import Snapshot

ANSWER_S = 5.0
"""How long the ledger may take for one answer while a device waits for its own."""
ASK_AGAIN_S = 2.0
_PROPOSED_MAX = 20_000
_PROPOSED_S = 86_400.0

_Name: TypeAlias = tuple[int, str, str]


class LastLook:
    """The host's last snapshot, read again when another has been written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._of: tuple[int, int] | None = None
        self._snapshot: Snapshot | None = None

    def __call__(self) -> Snapshot | None:
        """None where nobody has looked yet."""
        with self._lock:
            try:
                found = self._path.stat()
            except OSError:
                return self._snapshot
            if (found.st_ino, found.st_mtime_ns) != self._of:
                self._snapshot = snapshot.read(self._path) or self._snapshot
                self._of = found.st_ino, found.st_mtime_ns
            return self._snapshot


class Pulse:
    """Whether the ledger is worth asking: after a failure one asks every two seconds, for all.

    Otherwise each association would wait for its own silence. Safe to call from many threads.
    """

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._ask_at_s: float | None = None

    def may_ask(self) -> bool:
        """Whether the caller may; it then tells what came of it."""
        with self._lock:
            now_s = self._monotonic_s()
            if self._ask_at_s is None:
                return True
            if now_s < self._ask_at_s:
                return False
            self._ask_at_s = now_s + ANSWER_S + ASK_AGAIN_S
            return True

    def answered(self) -> None:
        """It did."""
        with self._lock:
            self._ask_at_s = None

    def failed(self) -> None:
        """It did not."""
        with self._lock:
            self._ask_at_s = self._monotonic_s() + ASK_AGAIN_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """An examination that the ledger has not heard of; `is_new` for its first instance here."""

    examination_id: str
    is_new: bool


class Proposals:
    """Ids of examinations let in without the ledger: one for all studies of a key (KEY-1, KEY-2).

    Another worker may propose another id for the same one; filing merges them. The caller locks.
    """

    def __init__(
        self,
        *,
        last_look: Callable[[], Snapshot | None],
        clock: Clock = system_clock,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._last_look = last_look
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._known: OrderedDict[_Name, tuple[float, str]] = OrderedDict()

    def known(self, incoming: Incoming) -> str | None:
        """The id that was proposed for the instance's examination, if one was."""
        for name in _names(incoming):
            made_s, examination_id = self._known.get(name, (0.0, ""))
            if examination_id and self._monotonic_s() - made_s < _PROPOSED_S:
                return examination_id
        return None

    def propose(self, incoming: Incoming, new_id: Callable[[], str]) -> Proposal | None:
        """Let the instance in; None where its account was not to be let in when last looked at."""
        known = self.known(incoming)
        if known is None:
            seen = self._last_look()
            if seen is None or not seen.lets_in(incoming.institution_id, at=self._clock()):
                return None
        examination_id = known or new_id()
        study, key = _names(incoming)
        # KEY-3: another key of a study that is known is nobody's yet, as in the ledger.
        for name in (study, key) if known is None else (study,):
            self._known.setdefault(name, (self._monotonic_s(), examination_id))
        while len(self._known) > _PROPOSED_MAX:
            self._known.popitem(last=False)
        return Proposal(examination_id=examination_id, is_new=known is None)

    def settled(self, incoming: Incoming) -> None:
        """The ledger knows the examination now, and is asked from here on."""
        for name in _names(incoming):
            self._known.pop(name, None)


def _names(incoming: Incoming) -> tuple[_Name, _Name]:
    """The study decides before the key (KEY-1)."""
    return (
        (incoming.institution_id, "study", incoming.study_instance_uid),
        (incoming.institution_id, "key", incoming.examination_key),
    )
