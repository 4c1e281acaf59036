"""Filing: any partition of a sequence of records into batches leaves the same rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Select, select

from storage import tables as t
from storage.filing import Filed, Same, SetAside
from storage.ledger import SqlLedger
from tests.storage.hospital import EXPLICIT, JPEG, Instance, Site
from tests.storage.kit import HandClock, add_account, open_sqlite, top_up

_CONTENTS = (b"one", b"two", b"three")


def some_instance(sop: int, study: int, content: int, syntax: str) -> Instance:
    """One of a few, so that the same UID comes again with the same content and with another."""
    return replace(
        Instance(sop=f"1.{sop}", study=f"5.{study}", content=_CONTENTS[content]), syntax=syntax
    )


_INSTANCES = st.lists(
    st.builds(
        some_instance,
        st.integers(0, 3),
        st.integers(0, 1),
        st.integers(0, 2),
        st.sampled_from([EXPLICIT, JPEG]),
    ),
    min_size=1,
    max_size=10,
)


def rows(ledger: SqlLedger) -> list[list[tuple[object, ...]]]:
    """What filing leaves: instances, conflicts, sizes, level; no instants and no row ids."""
    instances, conflicts, examinations = t.instances.c, t.conflicts.c, t.examinations.c
    wanted: list[Select[Any]] = [
        select(
            instances.sop_instance_uid,
            instances.sha256,
            instances.object_key,
            instances.size_bytes,
        ),
        select(conflicts.sop_instance_uid, conflicts.sha256, conflicts.object_key, conflicts.kind),
        select(examinations.id, examinations.instances, examinations.bytes),
        select(t.meters.c.name, t.meters.c.stored, t.meters.c.consumed),
    ]
    with ledger.read() as view:
        return [sorted(map(tuple, view.connection.execute(one))) for one in wanted]


@pytest.mark.slow
@settings(max_examples=25)
@given(instances=_INSTANCES, cuts=st.sets(st.integers(1, 9)), again=st.lists(st.integers(0, 9)))
def test_any_partition_into_batches_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory,
    instances: list[Instance],
    cuts: set[int],
    again: list[int],
) -> None:
    """One by one, or cut anywhere, with records repeated after their first: nothing differs."""
    results = []
    repeated = [*instances, *(instances[n % len(instances)] for n in again)]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(repeated)), len(repeated)]
    batches = [repeated[a:b] for a, b in pairwise(bounds)]
    for plan in ([[one] for one in instances], batches):
        folder = tmp_path_factory.mktemp("partition")
        results.append(_file_as(plan, instances, folder))

    assert results[0] == results[1]


def _file_as(plan: list[list[Instance]], instances: list[Instance], folder: Path) -> object:
    ledger = open_sqlite(folder, HandClock())
    site = Site(ledger, add_account(ledger), folder / "archive")
    top_up(ledger, site.account, "SO-1", 20)
    ready = {instance: site.ready(instance) for instance in instances}
    for batch in plan:
        outcomes = site.file(*site.put(*(ready[instance] for instance in batch)))
        assert all(isinstance(one, Filed | Same | SetAside) for one in outcomes)
    result = rows(ledger)
    ledger.database.dispose()
    return result
