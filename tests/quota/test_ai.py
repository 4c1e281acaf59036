"""AI calls: set aside, used, given back; a hard stop, no arrears (§8)."""

from __future__ import annotations

import pytest

from quota import ai
from quota.ai import Holding
from quota.hold import Hold, HoldState, NotHeld
from quota.order import Rejected
from tests.quota.bench import Bench

PRODUCT = "glaucoma"
METER = f"ai:{PRODUCT}"


@pytest.fixture
def bench() -> Bench:
    """An account with ten calls."""
    bench = Bench()
    bench.buy(10, meter=METER)
    return bench


def hold(bench: Bench, key: str, units: int, *, ttl_s: int = 600) -> Holding:
    """Set calls aside."""
    return bench.do(
        lambda work: ai.hold(work, bench.account, PRODUCT, key=key, units=units, ttl_s=ttl_s)
    )


def post(bench: Bench, key: str, units: int) -> Hold | Rejected:
    """Use some of them."""
    return bench.do(lambda work: ai.post(work, bench.account, PRODUCT, key=key, units=units))


def void(bench: Bench, key: str) -> Hold | Rejected:
    """Give them all back."""
    return bench.do(lambda work: ai.void(work, bench.account, PRODUCT, key=key))


def figures(bench: Bench) -> tuple[int, int, int]:
    """Available, held, used."""
    reading = bench.reading(METER)
    return (reading.available, reading.held, reading.used)


def refused(outcome: object) -> bool:
    """Whether it was refused by the rule's name."""
    return isinstance(outcome, Rejected) and outcome.rule == "AI"


def test_no_more_is_held_than_is_available(bench: Bench) -> None:
    """§8: a hard stop that says what there is; what is held already is not there."""
    hold(bench, "first", 4)

    assert hold(bench, "second", 7) == NotHeld(asked=7, available=6)
    assert figures(bench) == (6, 4, 0)
    assert isinstance(hold(bench, "second", 6), Hold)


def test_what_was_not_used_returns(bench: Bench) -> None:
    """§3: HELD −k, CONSUMED +k for what was used, PACKAGE for the rest."""
    hold(bench, "call", 4)

    post(bench, "call", 1)

    assert figures(bench) == (9, 0, 1)


def test_a_hold_is_used_once(bench: Bench) -> None:
    """§9: the same again is the first answer; another number of calls is refused."""
    hold(bench, "call", 4)
    first = post(bench, "call", 3)

    assert isinstance(first, Hold)
    assert first.state is HoldState.POSTED
    assert post(bench, "call", 3) == first
    assert refused(post(bench, "call", 2))
    assert refused(void(bench, "call"))
    assert figures(bench) == (7, 0, 3)


def test_a_voided_hold_gives_all_back_and_is_not_used(bench: Bench) -> None:
    """§8: void once; §9: the same again changes nothing."""
    hold(bench, "call", 4)
    first = void(bench, "call")

    assert void(bench, "call") == first
    assert refused(post(bench, "call", 1))
    assert figures(bench) == (10, 0, 0)


def test_the_same_key_is_the_same_hold_or_a_conflict(bench: Bench) -> None:
    """§9: same content, the first result; another number of calls or another time, refused."""
    first = hold(bench, "call", 4)
    bench.now += 1_000_000

    again = hold(bench, "call", 4)
    assert isinstance(first, Hold)
    assert isinstance(again, Hold)
    assert again.held_at == first.held_at
    assert refused(hold(bench, "call", 5))
    assert refused(hold(bench, "call", 4, ttl_s=601))
    assert figures(bench) == (6, 4, 0)


def test_a_hold_releases_itself_when_its_time_is_over(bench: Bench) -> None:
    """§8, TIME-2: at the end itself it can't be used any more."""
    held = hold(bench, "call", 4, ttl_s=1)
    assert isinstance(held, Hold)
    bench.now = held.expires_at - 1
    assert figures(bench) == (6, 4, 0)
    bench.now = held.expires_at

    assert figures(bench) == (10, 0, 0)
    assert refused(post(bench, "call", 1))


def test_an_unknown_hold_is_refused(bench: Bench) -> None:
    """§8: nothing to post, nothing to void."""
    assert refused(post(bench, "nothing", 1))
    assert refused(void(bench, "nothing"))
    assert figures(bench) == (10, 0, 0)
