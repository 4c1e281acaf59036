"""The options that say what is bought, the same for `order quote` and `order place`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import units
from quota.account import AI_PREFIX, CAPACITY, EXAM
from quota.catalogue import LICENCE_PREFIX, SERVICE_PREFIX
from quota.order import STORAGE_YEARS_MAX, TERABYTE, LineRequest

if TYPE_CHECKING:
    from quota.order import Order, OrderLine

ExamsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many examinations: whole thousands, at least 1,000.",
        show_default=False,
    ),
]
StorageYearsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help=f"How long examinations are stored (default {STORAGE_YEARS_MAX}); priced by 5 years.",
        show_default=False,
    ),
]
CapacityOption = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="How many TB (10^12 bytes) of capacity: whole TB, at least 1.",
        show_default=False,
    ),
]
YearsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="For how many whole years (default 1): capacity, licences, maintenance.",
        show_default=False,
    ),
]
MonthsOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="For how many months: maintenance.", show_default=False),
]
RenewsOption = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        help="Begin where this capacity package, or licence, ends: no gap, no double count.",
        show_default=False,
    ),
]
AiOption = Annotated[
    str | None,
    typer.Option(
        metavar="PRODUCT",
        help="An AI product of the catalogue, as glaucoma; with --calls or --unlimited.",
        show_default=False,
    ),
]
CallsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many AI calls: whole thousands, at least 1,000; valid for one year.",
        show_default=False,
    ),
]
UnlimitedOption = Annotated[
    bool,
    typer.Option(
        "--unlimited", metavar="", help="AI without limit, for good: only with --by-operator."
    ),
]
LicenceOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FEATURE",
        help="A licence: basic, or an option of the catalogue; may be repeated.",
        show_default=False,
    ),
]
ServiceOption = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="delivery, development or maintenance.", show_default=False),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What was typed. One kind of product per order."""

    exams: int | None = None
    storage_years: int | None = None
    capacity_tb: str | None = None
    years: int | None = None
    months: int | None = None
    renews: int | None = None
    ai: str | None = None
    calls: int | None = None
    unlimited: bool = False
    licence: list[str] | None = None
    service: str | None = None

    def lines(self, *, consortium_id: int | None = None) -> tuple[LineRequest, ...]:
        """The lines that the options describe. Raises BadParameter where they don't fit."""
        kinds = {
            "--exams": (self.exams, self._exams, {"storage_years"}),
            "--capacity-tb": (self.capacity_tb, self._capacity, {"years", "renews"}),
            "--ai": (self.ai, self._ai, {"calls", "unlimited"}),
            "--licence": (self.licence or None, self._licences, {"years", "renews"}),
            "--service": (self.service, self._service, {"years", "months"}),
        }
        chosen = [name for name, (value, _, _) in kinds.items() if value is not None]
        if len(chosen) != 1:
            raise typer.BadParameter(f"give one of {', '.join(kinds)}")
        _, make, allowed = kinds[chosen[0]]
        for name in ("storage_years", "years", "months", "renews", "calls", "unlimited"):
            if getattr(self, name) not in {None, False} and name not in allowed:
                raise typer.BadParameter(f"--{name.replace('_', '-')} doesn't go with {chosen[0]}")
        if chosen[0] == "--licence":
            return self._licences(consortium_id)
        return make()

    def _exams(self) -> tuple[LineRequest, ...]:
        assert self.exams is not None
        years = STORAGE_YEARS_MAX if self.storage_years is None else self.storage_years
        return (LineRequest(meter=EXAM, quantity=self.exams, storage_years=years),)

    def _capacity(self) -> tuple[LineRequest, ...]:
        assert self.capacity_tb is not None
        return (
            LineRequest(
                meter=CAPACITY,
                quantity=_bytes(self.capacity_tb),
                years=self._years(),
                renews_package_id=self.renews,
            ),
        )

    def _ai(self) -> tuple[LineRequest, ...]:
        assert self.ai is not None
        if self.unlimited == (self.calls is not None):
            raise typer.BadParameter("give --calls N or --unlimited with --ai")
        if self.unlimited:
            return (LineRequest(meter=AI_PREFIX + self.ai, quantity=0, years=0),)
        assert self.calls is not None
        return (LineRequest(meter=AI_PREFIX + self.ai, quantity=self.calls),)

    def _licences(self, consortium_id: int | None = None) -> tuple[LineRequest, ...]:
        assert self.licence is not None
        features = list(dict.fromkeys(self.licence))
        if self.renews is not None and len(features) != 1:
            raise typer.BadParameter("--renews goes with one --licence")
        return tuple(
            LineRequest(
                meter=LICENCE_PREFIX + feature,
                quantity=1,
                years=self._years(),
                consortium_id=consortium_id,
                renews_licence_id=self.renews,
            )
            for feature in features
        )

    def _service(self) -> tuple[LineRequest, ...]:
        assert self.service is not None
        if self.months is not None and self.years is not None:
            raise typer.BadParameter("give --years or --months")
        years = self._years() if self.months is None else 0
        return (
            LineRequest(
                meter=SERVICE_PREFIX + self.service,
                quantity=1,
                years=years,
                months=self.months or 0,
            ),
        )

    def _years(self) -> int:
        return 1 if self.years is None else self.years


def _bytes(capacity_tb: str) -> int:
    """Exact: 1.5 TB is 1.5 x 10^12 bytes, for the rule to refuse, and no float is near it."""
    try:
        amount = Decimal(capacity_tb) * TERABYTE
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise typer.BadParameter(f"--capacity-tb is a number of TB, not {capacity_tb!r}")
    return int(amount)


def described(line: OrderLine | LineRequest) -> str:
    """One line in words."""
    if line.meter == EXAM:
        return f"{units.count(line.quantity)} examinations"
    if line.meter.startswith(AI_PREFIX):
        calls = f"{units.count(line.quantity)} calls" if line.quantity else "calls without limit"
        return f"{calls} of {line.meter.removeprefix(AI_PREFIX)}"
    term = _counted(line.months, "month") if line.months else _counted(line.years, "year")
    for prefix in (LICENCE_PREFIX, SERVICE_PREFIX):
        if line.meter.startswith(prefix):
            name = line.meter.removeprefix(prefix)
            ended = "" if prefix == SERVICE_PREFIX and name != "maintenance" else f" for {term}"
            return f"{prefix.removesuffix(':')} {name}{ended}"
    renewing = "" if line.renews_package_id is None else f", renewing {line.renews_package_id}"
    return f"{units.amount(line.meter, line.quantity)} for {term}{renewing}"


def of_order(order: Order) -> str:
    """All lines in words."""
    return ", ".join(described(line) for line in order.lines)


def _counted(number: int, unit: str) -> str:
    return f"1 {unit}" if number == 1 else f"{number} {unit}s"
