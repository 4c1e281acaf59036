"""The spool against a plain model, through crashes: what counts comes back, and nothing else."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from storage.spool import Lease, Reception, RecordRef, Spool
from tests.storage.spool.fragile import FragileDisk
from tests.storage.spool.kit import bodies, body, header, open_spool

SMALL_SEGMENT_BYTES = 128 << 10
LEASES_MAX = 3
SIZES = st.sampled_from([0, 1, 4_000, 4_096, 9_000, 20_000, 70_000, 200_000])


class SpoolMachine(RuleBasedStateMachine):
    """Associations, a filer, crashes and restarts, beside a dictionary that forgets nothing."""

    leases: Bundle[int] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="spool-model-"))
        self.disk = FragileDisk()
        self.committed: dict[bytes, RecordRef] = {}
        """Acknowledged and not released: these must be there."""
        self.released: set[bytes] = set()
        """Released, but the bit may be lost in a crash: these may be there."""
        self.open_leases: list[tuple[Lease, Reception | None]] = []
        self.number = 0
        self.now = 1_000

    @initialize()
    def start(self) -> None:
        """An empty spool."""
        self.spool = self._opened()

    def _opened(self) -> Spool:
        return open_spool(self.root, segment_bytes=SMALL_SEGMENT_BYTES, pool_max=2, disk=self.disk)

    @precondition(lambda self: len(self.open_leases) < LEASES_MAX)
    @rule()
    def associate(self) -> None:
        """An association's first store."""
        self.open_leases.append((self.spool.lease(), None))

    @precondition(lambda self: self.open_leases)
    @rule(data=st.data(), size=SIZES, rewound=st.booleans(), committed=st.booleans())
    def store(self, data: st.DataObject, size: int, *, rewound: bool, committed: bool) -> None:
        """An instance in two pieces, perhaps after a rewind, perhaps not to its end."""
        index = data.draw(st.integers(0, len(self.open_leases) - 1))
        lease, _ = self.open_leases[index]
        self.number += 1
        self.now += data.draw(st.sampled_from([0, 1, 1, 1, -5]))
        content = b"%d:" % self.number + body(self.number, size)
        cut = data.draw(st.integers(0, len(content)))
        reception = lease.begin()
        if rewound:
            reception.write(body(-self.number, size))
            reception.rewind()
        reception.write(content[:cut])
        if committed:
            reception.write(memoryview(content)[cut:])
            self.committed[content] = reception.commit(header(self.now))

    @precondition(lambda self: self.open_leases)
    @rule(data=st.data())
    def part(self, data: st.DataObject) -> None:
        """An association ends."""
        index = data.draw(st.integers(0, len(self.open_leases) - 1))
        lease, _ = self.open_leases.pop(index)
        lease.end()

    @rule()
    def prepare(self) -> None:
        """A segment is made ready meanwhile."""
        self.spool.prepare()

    @rule(limit=st.integers(1, 20))
    def file_oldest(self, limit: int) -> None:
        """The filer's way: the oldest first."""
        records = self.spool.unfiled(limit)
        assert len(records) == min(limit, len(self.committed))
        contents = [b"".join(record.chunks()) for record in records]
        self.spool.release([record.ref for record in records])
        for content in contents:
            self._forget(content)

    @precondition(lambda self: self.committed)
    @rule(data=st.data())
    def file_any(self, data: st.DataObject) -> None:
        """And any other way."""
        content = data.draw(st.sampled_from(sorted(self.committed)))
        self.spool.release([self.committed[content]])
        self._forget(content)

    def _forget(self, content: bytes) -> None:
        del self.committed[content]
        self.released.add(content)

    @rule()
    def restart(self) -> None:
        """All associations end, the process stops and starts: releases are remembered."""
        for lease, _ in self.open_leases:
            lease.end()
        self.spool.close()
        self._come_back()
        self.released.clear()
        self._compare()

    @rule()
    def kill(self) -> None:
        """The process is killed: what the kernel has been given is there."""
        self.spool.close()
        self._come_back()
        self._compare()

    @rule(data=st.data())
    def cut_power(self, data: st.DataObject) -> None:
        """Pages that were not synced become anything."""
        self.spool.close()
        random = data.draw(st.randoms(use_true_random=False))
        self.disk.crash(random.randrange)
        self._come_back()
        self._compare()

    def _come_back(self) -> None:
        self.open_leases.clear()
        self.spool = self._opened()
        assert self.spool.recovered.damages == ()

    def _compare(self) -> None:
        records = self.spool.unfiled(1_000_000)
        found = {b"".join(record.chunks()): record.ref for record in records}
        assert len(found) == len(records)
        assert found.keys() >= self.committed.keys()
        assert found.keys() <= self.committed.keys() | self.released
        self.released -= found.keys()
        self.committed = found

    @invariant()
    def everything_committed_is_there(self) -> None:
        """At any time, and the figures agree."""
        if not hasattr(self, "spool"):
            return
        assert sorted(bodies(self.spool)) == sorted(self.committed)
        usage = self.spool.usage()
        assert usage.records == len(self.committed)
        assert (usage.bytes == 0) == (usage.records == 0)
        times = [record.header.received_at for record in self.spool.unfiled(1_000_000)]
        assert usage.oldest_received_at == min(times, default=None)
        assert self.spool.newest() == max(times, default=None)
        on_disk = sum(path.stat().st_size for path in self.spool.directory.glob("*.segment"))
        assert usage.allocated_bytes == on_disk

    def teardown(self) -> None:
        """Leave nothing behind."""
        if hasattr(self, "spool"):
            self.spool.close()
        shutil.rmtree(self.root)


TestSpool = pytest.mark.slow(SpoolMachine.TestCase)
