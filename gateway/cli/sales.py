"""How prices are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli import order_lines, output, units
from gateway.cli.output import Column

if TYPE_CHECKING:
    from gateway.cli.documents import Document
    from quota.catalogue import Catalogue
    from quota.price import Quote

QUOTE_COLUMNS = [
    Column(title="what"),
    Column(title="units", right=True),
    Column(title="price", right=True),
    Column(title="per"),
    Column(title="times", right=True),
    Column(title="amount", right=True),
    Column(title="product", optional=True),
]


def quote_document(quote: Quote) -> Document:
    """A price as JSON; amounts are in minor units of the currency."""
    return {
        "currency": quote.currency,
        "total_minor": quote.total,
        "lines": [
            {
                "meter": one.line.meter,
                "quantity": one.line.quantity,
                "storage_years": one.line.storage_years,
                "years": one.line.years,
                "months": one.line.months,
                "per": one.per.value,
                "unit_price_minor": one.unit_price,
                "units": one.units,
                "terms": one.terms,
                "amount_minor": one.amount,
            }
            for one in quote.lines
        ],
    }


def quote_rows(quote: Quote, catalogue: Catalogue) -> list[list[output.Cell]]:
    """One row per line, and the total."""

    def money(minor: int) -> str:
        return units.money(minor, currency=quote.currency, decimals=catalogue.decimals)

    rows: list[list[output.Cell]] = [
        [
            order_lines.described(one.line),
            units.count(one.units),
            money(one.unit_price),
            one.per.replace("_", " "),
            str(one.terms),
            money(one.amount),
            catalogue.items[one.line.meter].title_zh,
        ]
        for one in quote.lines
    ]
    total = output.styled(money(quote.total), "bold")
    rows.append([output.styled("total", "bold"), "", "", "", "", total, ""])
    return rows
