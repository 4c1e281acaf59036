"""The scrubber: every flipped bit is found, little by little, whatever is restarted meanwhile."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from sqlalchemy import select, update

from storage import tables as t
from storage.archive import Archive, LocalArchive, PutResult, open_archive
from storage.archive.checking import ASKED_BYTES, Damage
from storage.damage import check_now, overview
from storage.deletion import delete_examination
from storage.filing import Filed
from storage.ledger import SqlLedger
from storage.records import Incoming
from storage.scrub import BYTES_PER_S_MIN, ROUND_S, Scrubber
from tests.quota.makers import SECOND
from tests.storage.bucket import Buckets
from tests.storage.filed import file_at_once
from tests.storage.hospital import QUIET, Instance, Site
from tests.storage.kit import HandClock, add_account, top_up

# PS3.10 7.1: preamble, DICM, group length 12, then 12 bytes of an element.
HEADER = (
    bytes(128)
    + b"DICM\x02\x00\x00\x00UL\x04\x00\x0c\x00\x00\x00"
    + b"\x02\x00\x10\x00UI\x04\x001.2\x00"
)


class Stored:
    """Objects with a header, put into an archive and filed at a site."""

    def __init__(self, site: Site, archive: Archive) -> None:
        self.site = site
        self.archive = archive
        self.keys: list[str] = []
        top_up(site.ledger, site.account, "SO-1", 5)

    def add(self, number: int, data_set: bytes, *, study: str = "1.2.3") -> str:
        """Put and file one; returns its key."""
        incoming: Incoming = Instance(sop=f"{study}.9.{number}", study=study).incoming(
            self.site.device
        )
        syntax = incoming.transfer_syntax_uid
        sha256 = hashlib.sha256(syntax.encode() + b"\0" + data_set).hexdigest()

        def put(key: str) -> PutResult:
            self.keys.append(key)
            return self.archive.put(key, (HEADER, data_set))

        with self.site.ledger.begin() as work:
            filed = file_at_once(
                work,
                incoming,
                proposed_id=f"exam-{study}",
                sha256=sha256,
                quiet_period=QUIET,
                put=put,
            )
            assert isinstance(filed, Filed)
            work.commit()
        return self.keys[-1]


@pytest.fixture
def stored(site: Site) -> Stored:
    """An empty local archive of a site on each database."""
    return Stored(site, site.archive)


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(bytes(content))


def known(ledger: SqlLedger) -> dict[str, str]:
    """The damage on record, by key."""
    with ledger.read() as view:
        return {one.object_key: one.damage for one in overview(view).damaged}


def run_round(scrubber: Scrubber, *, steps: int = 50) -> list[str]:
    """Steps enough for a small archive; the keys that were told as damaged."""
    told = []
    for _ in range(steps):
        told += [verdict.expected.key for verdict in scrubber.step(1.0).damaged]
    return told


def test_an_archive_that_is_whole_has_no_damage(stored: Stored) -> None:
    """A round ends, and says how much it has read; the next one waits for its time."""
    for n in range(5):
        stored.add(n, bytes([n]) * 1_000)
    ledger = stored.site.ledger

    assert run_round(Scrubber(ledger, stored.archive)) == []

    with ledger.read() as view:
        found = overview(view)
    assert found.damaged == ()
    assert found.round is not None
    assert found.round.ended_at is not None
    assert found.round.objects == 5
    assert found.round.bytes == 5 * (len(HEADER) + 1_000)


@pytest.mark.slow
def test_two_hundred_of_two_hundred_flipped_bits_are_found(
    sound_sqlite: SqlLedger, tmp_path: Path
) -> None:
    """reliability.md §1: anywhere in a file, its preamble and file meta included."""
    seed = random.Random(4)
    site = Site(sound_sqlite, add_account(sound_sqlite), tmp_path / "archive")
    stored = Stored(site, site.archive)
    keys = [stored.add(n, seed.randbytes(2_000)) for n in range(220)]
    for n, key in enumerate(keys[:200]):
        # The first hundred within the header, the others anywhere.
        size = len(HEADER) if n < 100 else len(HEADER) + 2_000
        flip(site.archive.path(key), seed.randrange(size * 8))

    told = run_round(Scrubber(sound_sqlite, site.archive))

    assert sorted(told) == sorted(keys[:200])
    assert known(sound_sqlite) == dict.fromkeys(keys[:200], "content")


def test_each_kind_of_damage_is_told_apart(stored: Stored) -> None:
    """Missing, cut short, changed; once it is whole again it leaves the list."""
    keys = [stored.add(n, bytes([n]) * 1_000) for n in range(4)]
    assert isinstance(stored.archive, LocalArchive)
    paths = [stored.archive.path(key) for key in keys]
    contents = [path.read_bytes() for path in paths]
    paths[0].unlink()
    paths[1].write_bytes(contents[1][:-1])
    flip(paths[2], 0)
    ledger = stored.site.ledger

    run_round(Scrubber(ledger, stored.archive))

    assert known(ledger) == {keys[0]: "missing", keys[1]: "size", keys[2]: "content"}
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert sum(check_now(ledger, stored.archive, None)) == sum(map(len, contents))
    assert known(ledger) == {}


def test_a_restart_goes_on_where_it_was(stored: Stored) -> None:
    """Two big objects and a budget for one: the second scrubber reads the other one only."""
    for n in range(2):
        stored.add(n, bytes([n]) * (2 * BYTES_PER_S_MIN))
    ledger = stored.site.ledger
    first = Scrubber(ledger, stored.archive)
    read = sum(first.step(1.0).bytes for _ in range(30))
    assert read == 2 * (len(HEADER) + 2 * BYTES_PER_S_MIN)
    for n in range(2, 4):
        stored.add(n, bytes([n]) * 100, study="1.9")

    again = Scrubber(ledger, stored.archive)
    run_round(again)

    with ledger.read() as view:
        found = overview(view).round
    assert found is not None
    assert found.objects <= 4


def test_a_step_reads_no_more_than_its_share(stored: Stored) -> None:
    """Within a big object too: what one step took too much, the next ones do without."""
    stored.add(1, bytes(5 * BYTES_PER_S_MIN))
    scrubber = Scrubber(stored.site.ledger, stored.archive)

    shares = [scrubber.step(1.0).bytes for _ in range(4)]

    assert max(shares) <= 2 * BYTES_PER_S_MIN
    assert sum(shares) <= 5 * BYTES_PER_S_MIN


def test_an_archive_that_is_gone_is_not_looked_for_at_once(stored: Stored) -> None:
    """What is missing has no bytes to read, but asking counts: the keeper has other work to do."""
    asked = BYTES_PER_S_MIN // ASKED_BYTES
    keys = [stored.add(n, b"%d" % n) for n in range(2 * asked)]
    assert isinstance(stored.archive, LocalArchive)
    for key in keys:
        stored.archive.path(key).unlink()
    scrubber = Scrubber(stored.site.ledger, stored.archive)

    told = [verdict.expected.key for verdict in scrubber.step(1.0).damaged]
    assert 0 < len(told) <= asked
    assert sorted([*told, *run_round(scrubber)]) == sorted(keys)


def test_the_next_round_begins_a_month_after_the_last_began(
    stored: Stored, clock: HandClock
) -> None:
    """And finds what has happened since."""
    key = stored.add(1, b"x" * 100)
    scrubber = Scrubber(stored.site.ledger, stored.archive)
    assert run_round(scrubber) == []
    assert isinstance(stored.archive, LocalArchive)
    flip(stored.archive.path(key), 7)

    clock.at += ROUND_S * SECOND - 1
    assert run_round(scrubber) == []
    clock.at += 1
    assert run_round(scrubber) == [key]


def test_what_was_filed_before_fingerprints_is_checked_and_gets_one(stored: Stored) -> None:
    """By its SHA-256, which covers transfer syntax and data set; from then on by every byte."""
    keys = [stored.add(n, bytes([n]) * 500) for n in range(2)]
    ledger = stored.site.ledger
    with ledger.begin() as work:
        before = work.connection.execute(select(t.instances.c.fingerprint)).scalars().all()
        work.connection.execute(update(t.instances).values(fingerprint=None))
        work.commit()
    assert isinstance(stored.archive, LocalArchive)
    flip(stored.archive.path(keys[0]), 8 * (len(HEADER) + 3))

    assert run_round(Scrubber(ledger, stored.archive)) == [keys[0]]

    with ledger.read() as view:
        rows = view.connection.execute(select(t.instances)).all()
        after = {row.object_key: row.fingerprint for row in rows}
    assert after[keys[0]] is None
    assert after[keys[1]] in before


def test_what_was_deleted_meanwhile_is_not_missing(stored: Stored) -> None:
    """Its object went after the commit; nobody is alarmed, and old damage of it is forgotten."""
    key = stored.add(1, b"x" * 100)
    ledger = stored.site.ledger
    assert isinstance(stored.archive, LocalArchive)
    stored.archive.path(key).unlink()
    assert run_round(Scrubber(ledger, stored.archive)) == [key]

    with ledger.begin() as work:
        delete_examination(work, "exam-1.2.3", actor="li", reason="request", override=True)
        work.commit()

    assert known(ledger) == {}


@pytest.mark.slow
def test_a_remote_archive_is_asked_and_not_read(
    sound_sqlite: SqlLedger, tmp_path: Path, buckets: Buckets
) -> None:
    """Size and ETag: an object that is missing or was replaced is found."""
    site = Site(sound_sqlite, add_account(sound_sqlite), tmp_path / "unused")
    stored = Stored(site, open_archive(tmp_path / "unused", remote=buckets.new()))
    keys = [stored.add(n, bytes([n]) * 1_000) for n in range(6)]
    stored.archive.discard([keys[0]])
    stored.archive.put(keys[1], (b"\0" * (len(HEADER) + 1_000),))
    stored.archive.put(keys[2], (b"short",))

    told = run_round(Scrubber(sound_sqlite, stored.archive))

    assert sorted(told) == sorted(keys[:3])
    assert known(sound_sqlite) == {keys[0]: "missing", keys[1]: "content", keys[2]: "size"}


def test_damage_has_a_word_for_each_kind() -> None:
    """They stand in the database and in JSON: renaming one would orphan what is on record."""
    assert {one.value for one in Damage} == {"missing", "size", "content", "unreadable"}
