"""Licences and services: checked when ordered, granted when credited, taken back (§4, §8)."""

from __future__ import annotations

from collections.abc import Iterator

from quota import licence, notice, service_term
from quota.account import Account
from quota.action import By
from quota.catalogue import LICENCE_PREFIX, SERVICE_PREFIX
from quota.licence import Licence, LicenceState, Scope
from quota.order import LineRequest, Order, OrderLine, OrderRequest, Rejected
from quota.ports import View, Work
from quota.sale import ord_1
from quota.service_term import BoughtService, ServiceState
from quota.time import Instant


def fault_in(view: View, request: OrderRequest, account: Account) -> Rejected | None:
    """ORD-1, ORD-4: why licences and services can't be sold to whom the order names."""
    if request.institution_id is not None and view.payer_of(request.institution_id) != account.id:
        return ord_1("the account does not pay for that institution")
    for line in request.lines:
        if line.meter.startswith(SERVICE_PREFIX) and request.institution_id is None:
            return ord_1("a service is rendered to an institution: name it")
        if line.meter.startswith(LICENCE_PREFIX) and (
            rejected := _fault_in_licence(view, request, line, account)
        ):
            return rejected
    return None


def _fault_in_licence(
    view: View, request: OrderRequest, line: LineRequest, account: Account
) -> Rejected | None:
    scope = _scope(request, line)
    if scope is None:
        return ord_1("a licence is an institution's or a consortium's: name one")
    if scope.consortium_id is not None and account.id not in view.payers_of(scope.consortium_id):
        return ord_1("the account neither has that consortium nor pays for a member of it")
    feature = line.meter.removeprefix(LICENCE_PREFIX)
    known = [
        one
        for one in view.licences(scope=scope)
        if one.feature == feature and one.revoked_at is None
    ]
    if any(one.ends_at is None for one in known):
        return Rejected(rule="ORD-4", message=f"{feature} is licensed for good already")
    if line.renews_licence_id not in {None, *(one.id for one in known)}:
        return Rejected(
            rule="ORD-4",
            message=f"there is no licence {line.renews_licence_id} of {feature} to renew there",
        )
    return None


def _scope(of: OrderRequest | Order, line: LineRequest | OrderLine) -> Scope | None:
    if line.consortium_id is not None:
        return Scope(consortium_id=line.consortium_id)
    return None if of.institution_id is None else Scope(institution_id=of.institution_id)


def lock_scopes(work: Work, known: Order) -> None:
    """Lock whose licences an order is about: after the order, before any meter (§13)."""
    for scope in sorted({scope for _, scope in _licensed(known)}, key=lambda scope: scope.lock_key):
        work.lock_scope(scope)


def grant(work: Work, known: Order, account: Account, *, not_before: Instant) -> Instant:
    """Open the licences and begin the services of a paid order; returns the instant.

    The order is locked, and so are its scopes.
    """
    assert known.paid_at is not None
    licensed = list(_licensed(known))
    at = max(work.clock(), not_before)
    for line, scope in licensed:
        feature = line.meter.removeprefix(LICENCE_PREFIX)
        opened = work.add_licence(
            order=known,
            line=line,
            scope=scope,
            credited_at=at,
            term=licence.next_term(
                [one for one in work.licences(scope=scope) if one.feature == feature],
                years=line.years,
                zone=account.zone,
                paid_at=known.paid_at,
                credited_at=at,
            ),
        )
        work.tell(notice.of_licence(opened, at=at))
    for line in known.lines:
        if line.meter.startswith(SERVICE_PREFIX):
            ends_at = service_term.ends_at(line, account.zone, paid_at=known.paid_at)
            begun = work.add_service(order=known, line=line, credited_at=at, ends_at=ends_at)
            work.tell(notice.of_service(begun, at=at))
    return at


def _licensed(known: Order) -> Iterator[tuple[OrderLine, Scope]]:
    for line in known.lines:
        if line.meter.startswith(LICENCE_PREFIX):
            scope = _scope(known, line)
            assert scope is not None, "ORD-1 asks whose it is"
            yield line, scope


def take_back(work: Work, known: Order, *, not_before: Instant) -> Instant:
    """Revoke what an order opened, cancel what it began and nobody accepted; returns the instant.

    The order is locked, and so are its scopes. What is over, or was accepted, stays as it is.
    """
    at = max(work.clock(), not_before)
    for one in work.licences(order_number=known.number):
        if one.state(at) in {LicenceState.AHEAD, LicenceState.ACTIVE}:
            work.revoke_licence(one.id, revoked_at=at)
    for begun in work.services(order_number=known.number):
        if begun.state(at) in {ServiceState.PLACED, ServiceState.RUNNING}:
            work.end_service(begun.id, cancelled_at=at)
    return at


def revoke(work: Work, known: Licence, *, by: By) -> Licence | Rejected:
    """Revoke a licence, for good; journaled. Once more changes nothing."""
    work.lock_scope(known.scope)
    known = _licence(work, known)
    at = work.clock()
    match known.state(at):
        case LicenceState.REVOKED:
            return known
        case LicenceState.ENDED:
            return Rejected(rule="LICENCE", message="the licence has ended; there is nothing left")
    work.revoke_licence(known.id, revoked_at=at)
    work.note_action(
        actor=by.actor, action="licence_revoke", subject=str(known.id), reason=by.reason
    )
    return _licence(work, known)


def accept(work: Work, known: BoughtService, *, number: str, by: By) -> BoughtService | Rejected:
    """The customer accepts a delivery or development of order `number`; journaled, once."""
    work.lock_order(number)
    known = _service(work, known)
    at = work.clock()
    if known.state(at) is ServiceState.ACCEPTED:
        return known
    if rejected := service_term.fault_in_accepting(known, at=at):
        return rejected
    work.end_service(known.id, accepted_at=at)
    work.note_action(
        actor=by.actor, action="service_accept", subject=str(known.id), reason=by.reason
    )
    return _service(work, known)


def licence_for(view: View, institution_id: int, feature: str, *, at: Instant) -> Licence | None:
    """What opens `feature` to an institution: its own licence, or else a consortium's (§8)."""
    own = Scope(institution_id=institution_id)
    shared = [Scope(consortium_id=one) for one in view.consortia_of(institution_id)]
    open_to_it = (one for scope in (own, *shared) for one in view.licences(scope=scope))
    return licence.effective(open_to_it, feature, at=at)


def _licence(view: View, known: Licence) -> Licence:
    return next(one for one in view.licences(scope=known.scope) if one.id == known.id)


def _service(view: View, known: BoughtService) -> BoughtService:
    return next(one for one in view.services(account_id=known.account_id) if one.id == known.id)
