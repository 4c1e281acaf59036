"""Packages: the total order of burning (BURN), validity (TIME-2), and how units are spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.package import take
from tests.quota.makers import DAY, NOON, a_package


def test_the_package_that_expires_first_is_burned_first() -> None:
    """BURN: by expiry, those without one last, then in the order of crediting."""
    late = a_package(1, expires_at=NOON + 3 * DAY)
    never = a_package(2, expires_at=None)
    early = a_package(3, expires_at=NOON + 1 * DAY)
    as_late = a_package(4, expires_at=NOON + 3 * DAY)
    never_too = a_package(5, expires_at=None)

    ordered = sorted([never_too, as_late, never, late, early], key=lambda p: p.burn_key)

    assert [package.id for package in ordered] == [3, 1, 4, 2, 5]


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=2, max_size=8))
def test_the_order_of_burning_is_total(expiries: list[int | None]) -> None:
    """No two packages have the same place, whatever their expiries: funding is reproducible."""
    keys = [a_package(i, expires_at=expiry).burn_key for i, expiry in enumerate(expiries)]

    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("offset, expired", [(-1, False), (0, True), (1, True)])
def test_a_package_is_unusable_from_its_expiry_on(offset: int, *, expired: bool) -> None:
    """TIME-2: expires at E means unusable at T >= E."""
    assert a_package(expires_at=NOON).expired(NOON + offset) is expired


def test_a_package_without_expiry_never_expires() -> None:
    """One-time purchases last."""
    assert not a_package(expires_at=None).expired(NOON + 10_000 * DAY)


@pytest.mark.parametrize(
    "remaining, units, shares",
    [
        ([], 1, []),
        ([5], 1, [1]),
        ([1, 5], 3, [1, 2]),
        ([0, 5], 3, [0, 3]),
        ([2, 2], 9, [2, 2]),
        ([2, 2], 0, [0, 0]),
    ],
)
def test_units_are_taken_from_the_first_packages(
    remaining: list[int], units: int, shares: list[int]
) -> None:
    """ADM-3: what the packages do not hold is the shortfall, and nobody is asked for nothing."""
    packages = [a_package(i, remaining=left) for i, left in enumerate(remaining)]

    taken = take(packages, units)

    assert taken == [
        (package, share) for package, share in zip(packages, shares, strict=True) if share
    ]


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 20))
def test_no_package_gives_more_than_it_has(remaining: list[int], units: int) -> None:
    """The shares sum to what is wanted or to what there is, and a later one waits for its turn."""
    packages = [a_package(i, remaining=left) for i, left in enumerate(remaining)]

    taken = take(packages, units)

    assert sum(share for _, share in taken) == min(units, sum(remaining))
    assert all(0 < share <= package.remaining for package, share in taken)
    assert all(share == package.remaining for package, share in taken[:-1])
