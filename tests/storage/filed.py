"""One instance admitted and filed in one transaction, for tests that need it on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from quota.time import Instant
from storage.admitting import Asked, Pinned, admit
from storage.archive import PutResult
from storage.filing import Filing, file_batch
from storage.placing import Arrival, place
from storage.records import Incoming
from storage.work import SqlWork


def file_at_once(
    work: SqlWork,
    incoming: Incoming,
    *,
    proposed_id: str,
    sha256: str,
    quiet_period: Instant,
    put: Callable[[str], PutResult],
) -> Filing:
    """Admit, put with `put(key)`, file; the caller commits."""
    pinned = admit(work, Asked(incoming=incoming, proposed_id=proposed_id))
    assert isinstance(pinned, Pinned)
    arrival = Arrival(
        incoming=incoming,
        examination_id=pinned.examination_id,
        generation=pinned.generation,
        received_at=work.clock(),
        sha256=sha256,
        size_bytes=0,
    )
    (key,) = place(work, [arrival])
    assert key is not None
    result = put(key)
    placed = replace(
        arrival, object_key=key, size_bytes=result.size_bytes, fingerprint=result.fingerprint
    )
    answers = file_batch(work, [placed], quiet_period=quiet_period)
    assert isinstance(answers, list)
    return answers[0]
