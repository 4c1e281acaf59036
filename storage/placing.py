"""Decides what each record of a batch is: to be filed, the same again, another content, too late.

The same decision is taken twice: in a snapshot, to learn where the objects go, and inside the
filing transaction, where it counts. Nothing here writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from sqlalchemy import bindparam, exists, select

from quota.time import Instant
from storage import tables as t
from storage.records import Incoming
from storage.registry import payer
from storage.resolving import Examination, examinations, find_by_study
from storage.view import SqlView


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """An acknowledged instance; `size_bytes` and `sha256` are known once it was read.

    `examination_id` and `generation` are what admission pinned, or what was proposed where the
    ledger could not be asked (`provisional`). `object_key` is where its object is durable by now,
    None where nothing was put.
    """

    incoming: Incoming
    examination_id: str
    generation: int
    received_at: Instant
    sha256: str
    size_bytes: int
    provisional: bool = False
    object_key: str | None = None
    fingerprint: str | None = None
    """What the archive said it will know the object by (`PutResult.fingerprint`)."""


class Verdict(StrEnum):
    """What a record is."""

    FILE = "file"
    SAME = "same"
    """On record already, filed or set aside (§9)."""
    SET_ASIDE = "set_aside"
    """Another content under a known UID: the first filed stays."""
    DISCARD = "discard"
    """Of a generation that was deleted after it was received."""


class Difference(StrEnum):
    """How a second instance of one SOP Instance UID differs from the first filed."""

    CONFLICT = "conflict"
    """Other bytes."""
    VARIANT = "variant"
    """Another transfer syntax."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What one record is; `object_key` is where its object belongs, None where it needs none."""

    verdict: Verdict
    examination: Examination
    object_key: str | None = None
    difference: Difference | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Instance:
    """A filed instance, on record or earlier in the batch."""

    examination: Examination
    sha256: str
    transfer_syntax_uid: str


_Uid: TypeAlias = tuple[int, str]
"""(institution id, SOP Instance UID or Study Instance UID)."""


@dataclass(kw_only=True, slots=True)
class Known:
    """What the database knows of a batch; deciding adds what the batch itself brings."""

    examinations: dict[str, Examination]
    owners: dict[_Uid, str] = field(default_factory=dict)
    """Examinations of the studies of records that no examination was pinned for."""
    instances: dict[_Uid, _Instance] = field(default_factory=dict)
    aside: set[tuple[int, str, str]] = field(default_factory=set)
    """(institution id, SOP Instance UID, SHA-256) of what lies in quarantine."""

    def pins(self, arrival: Arrival) -> bool:
        """Whether admission pinned the record's examination, and it is on record.

        It is missing where the database was restored to before its admission.
        """
        if arrival.provisional or arrival.examination_id not in self.examinations:
            return False
        return self.examinations[arrival.examination_id].on_record


_INSTANCES = select(
    t.instances.c.sop_instance_uid,
    t.instances.c.examination_id,
    t.instances.c.sha256,
    t.instances.c.transfer_syntax_uid,
).where(
    t.instances.c.institution_id == bindparam("institution_id"),
    t.instances.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
)
_ASIDE = select(t.conflicts.c.sop_instance_uid, t.conflicts.c.sha256).where(
    t.conflicts.c.institution_id == bindparam("institution_id"),
    t.conflicts.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
)
_ANY_LEAVING = select(exists().select_from(t.deleted_objects))
_LEAVING = select(t.deleted_objects.c.object_key).where(
    t.deleted_objects.c.object_key.in_(bindparam("keys", expanding=True))
)


def place(view: SqlView, arrivals: Sequence[Arrival]) -> list[str | None]:
    """Where each record's object belongs, None where it needs none (now); asked in a snapshot."""
    known = look(view, arrivals)
    look_at_instances(view, known, arrivals)
    decisions = decide(known, arrivals)
    leaving = being_deleted(view, decisions)
    return [
        None if decision.object_key in leaving else decision.object_key for decision in decisions
    ]


def look(view: SqlView, arrivals: Sequence[Arrival]) -> Known:
    """The examinations of a batch, those that are to be admitted by filing it included."""
    pinned = {arrival.examination_id for arrival in arrivals if not arrival.provisional}
    known = Known(examinations=examinations(view, pinned))
    proposed: dict[_Uid, Examination] = {}
    for arrival in arrivals:
        if known.pins(arrival):
            continue
        study = _study(arrival)
        if study not in known.owners:
            key = arrival.incoming.institution_id, arrival.incoming.examination_key
            owner = _owner(view, arrival) or proposed.setdefault(key, _proposed(view, arrival))
            known.owners[study] = owner.id
            known.examinations[owner.id] = owner
    return known


def look_again(view: SqlView, known: Known, arrivals: Sequence[Arrival]) -> bool:
    """Read the examinations afresh, now that the meters are locked, and lock their rows (§13).

    False where another transaction has admitted one that we were about to, or has moved its
    institution to another account.
    """
    known.examinations.update(examinations(view, set(known.examinations), lock=True))
    for arrival in arrivals:
        if not known.pins(arrival):
            was = known.examinations[known.owners[_study(arrival)]]
            now = _owner(view, arrival)
            if (was.id if was.on_record else None) != (now.id if now else None):
                return False
            if now is None and payer(view, arrival.incoming.institution_id).id != was.account_id:
                return False
    return True


def look_at_instances(view: SqlView, known: Known, arrivals: Iterable[Arrival]) -> None:
    """What is on record under the batch's SOP Instance UIDs, filed or set aside."""
    wanted: dict[int, set[str]] = defaultdict(set)
    for arrival in arrivals:
        wanted[arrival.incoming.institution_id].add(arrival.incoming.sop_instance_uid)
    for institution_id, uids in wanted.items():
        parameters = {"institution_id": institution_id, "uids": sorted(uids)}
        rows = view.connection.execute(_INSTANCES, parameters).all()
        if not rows:
            continue
        foreign = {row.examination_id for row in rows} - set(known.examinations)
        owners = {**known.examinations, **examinations(view, foreign)}
        for row in rows:
            known.instances[institution_id, row.sop_instance_uid] = _Instance(
                examination=owners[row.examination_id],
                sha256=row.sha256,
                transfer_syntax_uid=row.transfer_syntax_uid,
            )
        for uid, sha256 in view.connection.execute(_ASIDE, parameters):
            known.aside.add((institution_id, uid, sha256))


def decide(known: Known, arrivals: Iterable[Arrival]) -> list[Decision]:
    """One decision per record, in their order; each counts on those before it."""
    return [_decide(known, arrival) for arrival in arrivals]


def being_deleted(view: SqlView, decisions: Iterable[Decision]) -> frozenset[str]:
    """Keys whose objects wait for their removal: nothing may be filed there until it is done."""
    keys = [decision.object_key for decision in decisions if decision.object_key is not None]
    # Hardly ever: a batch's keys are long, and need not be written out to be told that.
    if not keys or not view.connection.execute(_ANY_LEAVING).scalar_one():
        return frozenset()
    return frozenset(view.connection.execute(_LEAVING, {"keys": keys}).scalars())


def _decide(known: Known, arrival: Arrival) -> Decision:
    incoming = arrival.incoming
    uid = incoming.institution_id, incoming.sop_instance_uid
    filed = known.instances.get(uid)
    if filed is not None:
        return _compare(known, arrival, filed)
    examination = _examination_for(known, arrival)
    if _deleted_since(arrival, examination):
        return Decision(verdict=Verdict.DISCARD, examination=examination)
    known.instances[uid] = _Instance(
        examination=examination,
        sha256=arrival.sha256,
        transfer_syntax_uid=incoming.transfer_syntax_uid,
    )
    return Decision(
        verdict=Verdict.FILE,
        examination=examination,
        object_key=_key("objects", examination, arrival),
    )


def _compare(known: Known, arrival: Arrival, filed: _Instance) -> Decision:
    incoming = arrival.incoming
    content = incoming.institution_id, incoming.sop_instance_uid, arrival.sha256
    if arrival.sha256 == filed.sha256 or content in known.aside:
        return Decision(verdict=Verdict.SAME, examination=filed.examination)
    known.aside.add(content)
    same_syntax = filed.transfer_syntax_uid == incoming.transfer_syntax_uid
    return Decision(
        verdict=Verdict.SET_ASIDE,
        examination=filed.examination,
        object_key=_key("quarantine", filed.examination, arrival),
        difference=Difference.CONFLICT if same_syntax else Difference.VARIANT,
    )


def _examination_for(known: Known, arrival: Arrival) -> Examination:
    pinned = known.pins(arrival)
    return known.examinations[arrival.examination_id if pinned else known.owners[_study(arrival)]]


def _study(arrival: Arrival) -> _Uid:
    return arrival.incoming.institution_id, arrival.incoming.study_instance_uid


def _deleted_since(arrival: Arrival, examination: Examination) -> bool:
    """Whether the examination was deleted after this was received.

    What came after a deletion under a generation that somebody remembered is a new upload: it was
    acknowledged, and is filed.
    """
    current = not arrival.provisional and arrival.generation == examination.generation
    if current or examination.generation_at is None:
        return False
    return arrival.received_at <= examination.generation_at


def _key(folder: str, examination: Examination, arrival: Arrival) -> str:
    """A path made of our own ids and a hash: no byte from the wire gets into it."""
    return f"{folder}/{examination.id}/{examination.generation}/{arrival.sha256}.dcm"


def _owner(view: SqlView, arrival: Arrival) -> Examination | None:
    """The examination on record of a record that was let in without the ledger (KEY-1, KEY-2).

    What the worker let in as one is one (KEY-3), though a record of it that was filed first has
    neither study nor key in common with this one.
    """
    found = find_by_study(view, arrival.incoming)
    if found is not None:
        return found.examination
    return examinations(view, {arrival.examination_id}).get(arrival.examination_id)


def _proposed(view: SqlView, arrival: Arrival) -> Examination:
    account = payer(view, arrival.incoming.institution_id)
    return Examination(
        id=arrival.examination_id,
        account_id=account.id,
        plan=account.plan,
        patient_id_raw=arrival.incoming.patient_id_raw,
        on_record=False,
    )
