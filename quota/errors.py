"""The exceptions of quota: one base; the docstring is the default message, ids are attributes.

Refusals by a rule are values (`quota.order.Rejected`, `quota.admission.Refused`), not exceptions.
"""

from __future__ import annotations


class QuotaError(Exception):
    """The quota engine could not do what was asked."""

    def __init__(self, message: str | None = None, **ids: object) -> None:
        self.ids = ids
        text = message or (self.__doc__ or "").strip().rstrip(".")
        listed = ", ".join(f"{name} {value}" for name, value in ids.items())
        super().__init__(f"{text} ({listed})" if listed else text)


class UnknownAccount(QuotaError):
    """There is no such account."""


class UnknownOrder(QuotaError):
    """There is no such order."""


class LedgerBroken(QuotaError):
    """The ledger contradicts itself: run `tollgate verify`."""
