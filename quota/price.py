"""What an order costs: a pure function of its lines and the catalogue (ORD-5).

Integers only, in minor units. As in the domain's example: 1,000 examinations × the unit price per
5 years; TB × the price per TB and year × years.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quota import sale
from quota.account import CAPACITY
from quota.catalogue import Catalogue, Per
from quota.order import TERABYTE, LineRequest, Rejected

STORAGE_STEP_YEARS = 5
"""Storage is priced by so many years; a part of them counts as a whole step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PricedLine:
    """`amount` = `unit_price` × `units` × `terms`, in minor units."""

    line: LineRequest
    per: Per
    unit_price: int
    units: int
    terms: int

    @property
    def amount(self) -> int:
        """What the line costs."""
        return self.unit_price * self.units * self.terms


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """The price of an order, in minor units of `currency`."""

    currency: str
    lines: tuple[PricedLine, ...]

    @property
    def total(self) -> int:
        """What the whole order costs."""
        return sum(line.amount for line in self.lines)


def quote(lines: Sequence[LineRequest], catalogue: Catalogue) -> Quote | Rejected:
    """The price of these lines, or the rule that refuses to sell one of them (ORD-1)."""
    for line in lines:
        if rejected := sale.fault_in(line, catalogue):
            return rejected
    return Quote(currency=catalogue.currency, lines=tuple(_priced(one, catalogue) for one in lines))


def _priced(line: LineRequest, catalogue: Catalogue) -> PricedLine:
    per = sale.way_of_selling(line)
    unit_price = catalogue.price(line.meter, per)
    assert unit_price is not None, "the sale has checked that it is sold so"
    units, terms = line.quantity, 1
    match per:
        case Per.EXAM_5_YEARS:
            terms = -(-line.storage_years // STORAGE_STEP_YEARS)
        case Per.TB_YEAR:
            units, terms = line.quantity // TERABYTE, line.years
        case Per.UNLIMITED:
            units = 1
        case Per.YEAR:
            terms = line.years
        case Per.MONTH:
            terms = line.months
        case Per.CALL | Per.ONCE:
            pass
    assert line.meter != CAPACITY or line.quantity % TERABYTE == 0
    return PricedLine(line=line, per=per, unit_price=unit_price, units=units, terms=terms)
