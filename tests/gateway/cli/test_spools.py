"""`tollgate spool`: what waits on whose disk, a spool brought along, one given up."""

from __future__ import annotations

from pathlib import Path

from quota.time import Instant
from storage.engine import system_clock
from storage.pending import note_pending
from storage.spool_register import SpoolReport, beat, register
from tests.gateway.cli.conftest import HOUR, Cli
from tests.storage.spool.kit import ID, body, open_spool, put


def seen(tollgate: Cli, *, ago: Instant = 0, minute_bytes: int = 600) -> None:
    """A worker of another host told of its spool some time ago."""
    at = system_clock() - ago
    ledger = tollgate.ledger(clock=lambda: at)
    report = SpoolReport(
        id=ID,
        host="gate-2",
        records=12,
        bytes=3_600,
        limit_bytes=10_000,
        oldest_received_at=at - HOUR,
        filed_through=None,
        minute_bytes=minute_bytes,
    )
    with ledger.begin() as work:
        register(work, ID, host="gate-2")
        beat(work, report)
        work.commit()
    ledger.database.dispose()


def test_status_shows_what_waits_and_how_long_it_takes(tollgate: Cli) -> None:
    """At the rate of the last minute: 3,600 bytes at 10 a second are 6 minutes."""
    tollgate.begin()
    seen(tollgate)

    (shown,) = tollgate.json("spool", "status")

    assert (shown["id"], shown["host"], shown["state"]) == (ID, "gate-2", "serving")
    assert (shown["records"], shown["bytes"], shown["fill"]) == (12, 3_600, 0.36)
    assert (shown["filed_bytes_per_s"], shown["drains_in_s"]) == (10, 360)
    assert 3_600 <= shown["oldest_age_s"] < 3_700
    text = tollgate.ok("spool", "status")
    assert "36 %" in text
    assert "6 min" in text


def test_a_spool_that_does_not_drain_says_so(tollgate: Cli) -> None:
    """No rate, no time: null, not zero."""
    tollgate.begin()
    seen(tollgate, minute_bytes=0)

    assert tollgate.json("spool", "status")[0]["drains_in_s"] is None
    assert "not draining" in tollgate.ok("spool", "status")


def test_without_spools_the_first_step_is_named(tollgate: Cli) -> None:
    """An empty state says what makes the first one."""
    tollgate.begin()
    assert tollgate.json("spool", "status") == []
    assert "tollgate serve" in tollgate.run("spool", "status").stderr


def test_an_unseen_spool_is_declared_lost_with_who_and_why(tollgate: Cli) -> None:
    """Journaled; while a worker tells of it, it is refused by the rule's name."""
    tollgate.begin()
    seen(tollgate)
    lost = ("spool", "declare-lost", ID, "--reason", "disk burnt", "--by", "anna", "--yes")
    assert tollgate.refused(*lost).startswith("SPOOL-LOST: ")
    seen(tollgate, ago=HOUR)
    result = tollgate.run("spool", "status")
    assert "unseen" in result.stdout
    assert "declare-lost" in result.stderr

    told = tollgate.json(*lost)

    assert (told["state"], told["declared_by"], told["reason"]) == ("lost", "anna", "disk burnt")
    assert tollgate.json("spool", "status") == [told | {"oldest_age_s": _any(tollgate)}]
    (action,) = tollgate.json("action", "list")
    assert (action["actor"], action["action"], action["subject"]) == ("anna", "spool_lost", ID)


def _any(tollgate: Cli) -> object:
    return tollgate.json("spool", "status")[0]["oldest_age_s"]


def test_an_unknown_spool_can_not_be_lost(tollgate: Cli) -> None:
    """A mistyped id gives nothing up."""
    tollgate.begin()
    said = tollgate.refused("spool", "declare-lost", "nobody", "--reason", "r", "--yes")
    assert "tollgate spool status" in said


def test_a_spool_is_brought_from_another_host(tollgate: Cli, tmp_path: Path) -> None:
    """Moved below the data directory, registered, journaled; refused while it is held."""
    tollgate.begin()
    seen(tollgate, ago=HOUR)
    with open_spool(tmp_path / "old") as spool:
        lease = spool.lease()
        put(lease, body(1, 5_000))
        lease.end()
        assert "holds the spool" in tollgate.refused("spool", "adopt", str(spool.directory))

    told = tollgate.json("spool", "adopt", str(tmp_path / "old" / ID), "--by", "anna")

    assert told["directory"] == str(tollgate.data_dir / "spool" / ID)
    assert (tollgate.data_dir / "spool" / ID).is_dir()
    (shown,) = tollgate.json("spool", "status")
    assert shown["host"] == told["host"] != "gate-2"
    (action,) = tollgate.json("action", "list")
    assert (action["actor"], action["action"], action["subject"]) == ("anna", "spool_adopt", ID)
    assert "no spool" in tollgate.refused("spool", "adopt", str(tmp_path))


def test_what_waits_is_shown_with_the_account_until_it_is_filed(tollgate: Cli) -> None:
    """CAP-1: acknowledged bytes not yet filed are shown as pending, and decide nothing."""
    tollgate.ok("account", "create", "Bytes", "--plan", "per-capacity", "--agreement", "A-1")
    assert "pending" not in tollgate.ok("account", "show", "Bytes")
    seen(tollgate)
    ledger = tollgate.ledger()
    with ledger.begin() as work:
        note_pending(work, ID, {1: 3_600})
        work.commit()
    ledger.database.dispose()

    level = tollgate.json("account", "show", "Bytes")["meters"]["capacity"]
    assert (level["pending_bytes"], level["stored_bytes"]) == (3_600, 0)
    (listed,) = tollgate.json("account", "list")
    assert listed["meters"]["capacity"]["pending_bytes"] == 3_600
    assert "3.6 kB acknowledged and not filed yet" in tollgate.ok("account", "show", "Bytes")
