"""The catalogue as values: what is sold, by which unit, at which price (ORD-5).

It says whether a product exists and what it costs. Prices never influence admission: nothing but
`sale` and `price` reads this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from quota.account import AI_PREFIX, CAPACITY, EXAM

LICENCE_PREFIX = "licence:"
"""Licences are called by their feature: licence:basic."""
SERVICE_PREFIX = "service:"
"""Services are called by their kind: service:maintenance."""


class Per(StrEnum):
    """What a price is for."""

    EXAM_5_YEARS = "exam_5_years"
    """One examination, for each 5 years (or part of them) of storage."""
    TB_YEAR = "tb_year"
    CALL = "call"
    UNLIMITED = "unlimited"
    """A one-time purchase of AI, for good; an operator books it."""
    YEAR = "year"
    MONTH = "month"
    ONCE = "once"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One product. `prices` are in minor units of the catalogue's currency; what has no price is
    not sold that way. `includes` lists what a whole edition consists of."""

    name: str
    title_en: str
    title_zh: str
    prices: Mapping[Per, int]
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """Everything that is sold, by name. `decimals` says how many digits of a price are minor."""

    currency: str
    decimals: int = 2
    items: Mapping[str, Item] = field(default_factory=dict)

    def price(self, name: str, per: Per) -> int | None:
        """The price in minor units, or None where the product is not sold that way."""
        item = self.items.get(name)
        return None if item is None else item.prices.get(per)

    def named(self, prefix: str, per: Per) -> list[str]:
        """What is sold under a prefix that way, without the prefix: for messages and choices."""
        return [
            name.removeprefix(prefix)
            for name, item in self.items.items()
            if name.startswith(prefix) and per in item.prices
        ]


def ways_of_selling(name: str) -> frozenset[Per]:
    """How a product of that name can be sold at all; empty where nothing is called so."""
    if name == EXAM:
        return frozenset({Per.EXAM_5_YEARS})
    if name == CAPACITY:
        return frozenset({Per.TB_YEAR})
    for prefix, ways in (
        (AI_PREFIX, {Per.CALL, Per.UNLIMITED}),
        (LICENCE_PREFIX, {Per.YEAR}),
        (SERVICE_PREFIX, {Per.ONCE, Per.MONTH, Per.YEAR}),
    ):
        if name.startswith(prefix) and name != prefix:
            return frozenset(ways)
    return frozenset()


METERED = Catalogue(
    currency="XXX",
    items={
        EXAM: Item(
            name=EXAM, title_en="Examinations", title_zh="例次", prices={Per.EXAM_5_YEARS: 0}
        ),
        CAPACITY: Item(
            name=CAPACITY, title_en="Capacity", title_zh="容量", prices={Per.TB_YEAR: 0}
        ),
    },
)
"""What can be sold where no catalogue is at hand: examinations and capacity, without a price
(ISO 4217: XXX is no currency)."""
