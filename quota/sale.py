"""What may be sold, to whom: the rules of an order (ORD-1, ORD-2, ORD-4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quota.account import AI_PREFIX, CAPACITY, EXAM, Account
from quota.catalogue import (
    LICENCE_PREFIX,
    METERED,
    SERVICE_PREFIX,
    Catalogue,
    Per,
    ways_of_selling,
)
from quota.order import (
    AI_UNITS_MAX,
    ORDER_NUMBER_LENGTH_MAX,
    STORAGE_YEARS_MAX,
    TERABYTE,
    TERM_MONTHS_MAX,
    TERM_YEARS_MAX,
    UNITS_MAX,
    UNITS_PER_EXAM_LINE,
    LineRequest,
    OrderRequest,
    Rejected,
)
from quota.package import Package
from quota.service_term import ServiceKind


def check(
    request: OrderRequest,
    account: Account,
    *,
    packages: Sequence[Package] = (),
    catalogue: Catalogue = METERED,
    by_operator: bool = False,
) -> Rejected | None:
    """ORD-1, ORD-2, ORD-4: why the order can't be placed for `account`, or None if it can.

    `packages` are the account's: a renewal must name one of them. `by_operator` says that an
    operator books it: nobody else may buy AI without limit.
    """
    if rejected := _fault_in_buyer(request, account):
        return rejected
    renewable = {package.id for package in packages if package.voided_at is None}
    for line in request.lines:
        rejected = fault_in(line, catalogue) or _fault_for(line, account, renewable)
        if rejected is not None:
            return rejected
        if way_of_selling(line) is Per.UNLIMITED and not by_operator:
            return ord_1("AI without limit is not sold online: an operator books it")
    return None


def _fault_in_buyer(request: OrderRequest, account: Account) -> Rejected | None:
    if not 0 < len(request.number) <= ORDER_NUMBER_LENGTH_MAX or not request.number.isprintable():
        return Rejected(
            rule="ORD-2",
            message=f"an order number has 1 to {ORDER_NUMBER_LENGTH_MAX} printable characters",
        )
    if account.closed_at is not None:
        return ord_1("the account is closed")
    if not account.agreement_no.strip():
        return ord_1("no order before the account has an agreement number")
    if not request.lines:
        return ord_1("an order has at least one line")
    return None


def fault_in(line: LineRequest, catalogue: Catalogue) -> Rejected | None:
    """ORD-1: why nobody can buy such a line, whoever asks; None where it is sold."""
    if not ways_of_selling(line.meter):
        return ord_1(f"nothing is sold for the meter {line.meter!r}")
    if not 1 <= line.storage_years <= STORAGE_YEARS_MAX:
        return ord_1(f"examinations are stored for 1 to {STORAGE_YEARS_MAX} years")
    if rejected := _fault_in_shape(line):
        return rejected
    if catalogue.price(line.meter, way_of_selling(line)) is None:
        return ord_1(_not_sold(line, catalogue))
    return _CHECKS[_kind(line)](line)


def _fault_in_shape(line: LineRequest) -> Rejected | None:
    if line.months and not line.meter.startswith(SERVICE_PREFIX):
        return ord_1("only maintenance is sold by the month")
    if line.meter.startswith(LICENCE_PREFIX):
        return None
    if line.consortium_id is not None:
        return ord_1("only a licence can be a consortium's")
    if line.renews_licence_id is not None:
        return ord_1("only a licence renews a licence")
    return None


def way_of_selling(line: LineRequest) -> Per:
    """By which of its prices a line is sold."""
    if line.meter.startswith(AI_PREFIX):
        return Per.UNLIMITED if line.quantity == 0 and line.years == 0 else Per.CALL
    if line.meter.startswith(LICENCE_PREFIX):
        return Per.YEAR
    if line.meter.startswith(SERVICE_PREFIX):
        if line.meter != SERVICE_PREFIX + ServiceKind.MAINTENANCE:
            return Per.ONCE
        return Per.MONTH if line.months else Per.YEAR
    return Per.EXAM_5_YEARS if line.meter == EXAM else Per.TB_YEAR


def _not_sold(line: LineRequest, catalogue: Catalogue) -> str:
    prefix, _, name = line.meter.rpartition(":")
    way = way_of_selling(line)
    sold = ", ".join(catalogue.named(f"{prefix}:", way)) or "none"
    return f"{name!r} is not sold per {way.replace('_', ' ')}; sold so: {sold}"


def _kind(line: LineRequest) -> str:
    return line.meter.partition(":")[0]


def _fault_for(line: LineRequest, account: Account, renewable: set[int]) -> Rejected | None:
    if line.meter in {EXAM, CAPACITY} and account.plan.enforced_meter != line.meter:
        return ord_1(
            f"the account's plan ({account.plan}) does not enforce the meter {line.meter!r}"
        )
    if line.renews_package_id is not None and line.renews_package_id not in renewable:
        return Rejected(
            rule="ORD-4", message=f"the account has no package {line.renews_package_id} to renew"
        )
    return None


def _check_exam(line: LineRequest) -> Rejected | None:
    return _check_thousands(line, "examinations", UNITS_MAX[EXAM])


def _check_ai(line: LineRequest) -> Rejected | None:
    if way_of_selling(line) is Per.UNLIMITED:
        return None
    return _check_thousands(line, "calls", AI_UNITS_MAX)


def _check_thousands(line: LineRequest, unit: str, units_max: int) -> Rejected | None:
    if line.quantity < UNITS_PER_EXAM_LINE or line.quantity % UNITS_PER_EXAM_LINE:
        return ord_1(
            f"{unit} are sold in whole thousands, at least 1,000; {line.quantity:,} is not"
        )
    if line.quantity > units_max:
        return ord_1(f"a line has at most {units_max:,} {unit}")
    if line.years != 1 or line.renews_package_id is not None:
        return ord_1(f"{unit} are valid for one year from purchase and are not renewed")
    return None


def _check_capacity(line: LineRequest) -> Rejected | None:
    if line.quantity < TERABYTE or line.quantity % TERABYTE:
        return ord_1(f"capacity is sold in whole TB, at least 1; {line.quantity:,} bytes is not")
    if line.quantity > UNITS_MAX[CAPACITY]:
        return ord_1(f"a line has at most {UNITS_MAX[CAPACITY]:,} bytes")
    return _check_years(line, "capacity is")


def _check_licence(line: LineRequest) -> Rejected | None:
    return _check_single(line, "a licence") or _check_years(line, "licences are")


def _check_service(line: LineRequest) -> Rejected | None:
    if line.meter.removeprefix(SERVICE_PREFIX) not in set(ServiceKind):
        return ord_1(f"services are of the kinds {', '.join(ServiceKind)}")
    if way_of_selling(line) is Per.MONTH:
        if line.years != 0 or not 1 <= line.months <= TERM_MONTHS_MAX:
            return ord_1(f"maintenance is sold for 1 to {TERM_MONTHS_MAX} months, or by the year")
        return _check_single(line, "maintenance")
    if way_of_selling(line) is Per.ONCE and (line.years, line.months) != (1, 0):
        return ord_1("delivery and development have no term: they are accepted within one year")
    return _check_single(line, "a service") or _check_years(line, "services are")


def _check_single(line: LineRequest, what: str) -> Rejected | None:
    if line.quantity != 1:
        return ord_1(f"{what} is sold once per line")
    if line.renews_package_id is not None:
        return ord_1(f"{what} renews no package")
    return None


def _check_years(line: LineRequest, what: str) -> Rejected | None:
    if not 1 <= line.years <= TERM_YEARS_MAX:
        return ord_1(f"{what} sold for 1 to {TERM_YEARS_MAX} whole years")
    return None


_CHECKS: dict[str, Callable[[LineRequest], Rejected | None]] = {
    EXAM: _check_exam,
    CAPACITY: _check_capacity,
    AI_PREFIX.removesuffix(":"): _check_ai,
    LICENCE_PREFIX.removesuffix(":"): _check_licence,
    SERVICE_PREFIX.removesuffix(":"): _check_service,
}


def ord_1(message: str) -> Rejected:
    """A refusal by ORD-1."""
    return Rejected(rule="ORD-1", message=message)
