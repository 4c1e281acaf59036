"""A small catalogue for tests, with prices that are easy to multiply in one's head."""

from __future__ import annotations

from collections.abc import Mapping

from quota.catalogue import Catalogue, Item, Per

_PRICES: Mapping[str, Mapping[Per, int]] = {
    "exam": {Per.EXAM_5_YEARS: 200},
    "capacity": {Per.TB_YEAR: 600_000},
    "ai:glaucoma": {Per.CALL: 500, Per.UNLIMITED: 30_000_000},
    "ai:report-assistant": {Per.CALL: 100},
    "ai:colorectal": {Per.UNLIMITED: 40_000_000},
    "licence:basic": {Per.YEAR: 5_000_000},
    "licence:mobile": {Per.YEAR: 800_000},
    "service:delivery": {Per.ONCE: 2_000_000},
    "service:maintenance": {Per.MONTH: 200_000, Per.YEAR: 2_000_000},
}
GOODS = Catalogue(
    currency="CNY",
    items={
        name: Item(name=name, title_en=name, title_zh=name, prices=prices)
        for name, prices in _PRICES.items()
    },
)
"""No development and no pneumonia are sold."""
