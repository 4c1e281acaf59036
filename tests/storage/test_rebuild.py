"""Caches can be dropped at any time: the journal says it all (§3, invariant 2)."""

from __future__ import annotations

from sqlalchemy import text

from tests.storage.hospital import Site
from tests.storage.kit import HandClock, dump, place, reading
from tests.storage.past import YEAR, Copy
from tests.storage.rebuild import forget_and_rebuild


def test_every_cached_balance_can_be_rebuilt_from_the_journal(copy: Copy) -> None:
    """meters.*, packages.remaining, charges and episodes come back row by row as they were."""
    before = dump(copy.ledger)

    forget_and_rebuild(copy.ledger)

    assert dump(copy.ledger) == before
    assert copy.failing() == set()


def test_a_rebuilt_ledger_repairs_what_was_off(copy: Copy) -> None:
    """The journal is the truth: whatever is written over the caches, it brings them back."""
    before = dump(copy.ledger)
    copy.corrupt(
        "UPDATE meters SET available = 99, owed = 0",
        "UPDATE packages SET remaining = quantity",
        "UPDATE charges SET state = 'funded', package_id = 1",
        "UPDATE episodes SET deadline = 0",
    )
    assert {2, 6, 9} <= copy.failing()

    forget_and_rebuild(copy.ledger)

    assert dump(copy.ledger) == before


def test_an_answer_does_not_depend_on_when_the_caches_were_made(
    copy: Copy, clock: HandClock
) -> None:
    """Rebuilt with a lapse still unbooked, the readings before and after are the same."""
    with copy.ledger.read() as view:
        account = view.account(1)
        clock.at = view.connection.execute(text("SELECT max(last_at) FROM meters")).scalar_one()
    clock.at += YEAR
    before = reading(copy.ledger, account)

    forget_and_rebuild(copy.ledger)

    assert reading(copy.ledger, account) == before


def test_an_empty_ledger_is_rebuilt_as_empty(site: Site) -> None:
    """Nothing comes from nothing."""
    place(site.ledger, site.account, "SO-1", 1_000)
    before = dump(site.ledger)

    forget_and_rebuild(site.ledger)

    assert dump(site.ledger) == before
