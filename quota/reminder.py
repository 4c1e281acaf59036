"""Notices that time alone raises: work for the keeper, who may come late or twice (§10)."""

from __future__ import annotations

from quota import licence, notice, service, service_term
from quota.account import Account
from quota.licence import Licence
from quota.ports import Work
from quota.service_term import BoughtService
from quota.time import MICROSECONDS_PER_SECOND

REMINDED_AHEAD = max(notice.EXPIRING_DAYS) * 86_400 * MICROSECONDS_PER_SECOND
"""How long before the end of a package, licence or service the first notice is told, in µs."""


def remind(work: Work, account: Account, name: str) -> int:
    """Raise the notices that are due on a meter; returns how many.

    Those told before are not told again: the store keeps one per key.
    """
    book = service.open_book(work, account, name)
    packages = work.packages_ending(book.meter.id, book.at, book.at + REMINDED_AHEAD)
    raised = list(notice.due(book.meter, packages, at=book.at))
    for one in raised:
        book.tell(one)
    service.record(work, book)
    return len(raised)


def remind_licence(work: Work, known: Licence) -> bool:
    """Raise the notice of a licence's end that is due; whether one was.

    None where a renewal is bought already: what stays open needs nobody's attention.
    """
    work.lock_scope(known.scope)
    beside = work.licences(scope=known.scope)
    current = next(one for one in beside if one.id == known.id)
    ending = notice.of_ending(current, at=work.clock())
    if ending is None or licence.continued(current, beside):
        return False
    work.tell(ending)
    return True


def remind_service(work: Work, known: BoughtService) -> bool:
    """Raise the notice of a service's end that is due; whether one was.

    None for maintenance that goes on, by another term bought for the institution.
    """
    beside = work.services(account_id=known.account_id)
    current = next(one for one in beside if one.id == known.id)
    ending = notice.of_service_ending(current, at=work.clock())
    if ending is None or service_term.continued(current, beside):
        return False
    work.tell(ending)
    return True
