"""The demo's hospital: set up and read by the same functions as the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.bootstrap import ARCHIVE
from gateway.demo.errors import Unmet
from gateway.demo.modality import Modality
from quota import service
from quota.account import EXAM, Account, Plan
from quota.order import LineRequest, OrderRequest, OrderState, Rejected
from quota.service import MeterReading
from storage import registry, reports
from storage.archive import LocalArchive
from storage.ledger import SqlLedger
from storage.records import Grouping
from storage.reports import ExaminationRow, RefusalRow
from storage.verify import Report, verify

ACCOUNT = "Lakeside Hospitals 湖滨医院"
INSTITUTION = "Lakeside East 湖滨东院"
_ZONE = "Asia/Shanghai"
_ROWS_MAX = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What the ledger says at one instant."""

    account: Account
    reading: MeterReading
    refusals: Sequence[RefusalRow]
    """The whole register, the latest entry first."""

    @property
    def open_refusals(self) -> int:
        """Entries of which instances are still missing."""
        return sum(row.resolved_at is None for row in self.refusals)


class Hospital:
    """One account that pays, one institution that sends."""

    def __init__(self, ledger: SqlLedger, *, data_dir: Path) -> None:
        self._ledger = ledger
        self._archive = LocalArchive(data_dir / ARCHIVE)
        with ledger.begin() as work:
            account = work.add_account(
                name=ACCOUNT, plan=Plan.PER_EXAM, agreement_no="DEMO-2026", timezone=_ZONE
            )
            assert account is not None, "the ledger was empty"
            institution = registry.add_institution(
                work, name=INSTITUTION, account_id=account.id, called_ae_title=None
            )
            work.commit()
        self._account_id = account.id
        self._institution_id = institution.id

    def register(self, devices: Iterable[Modality]) -> None:
        """Register the devices: one whose images are studies of their own groups by accession."""
        with self._ledger.begin() as work:
            for device in devices:
                grouping = Grouping.ACCESSION if device.kind.study_per_image else Grouping.STUDY
                registry.add_device(
                    work,
                    ae_title=device.ae_title,
                    institution_id=self._institution_id,
                    networks=("127.0.0.1/32",),
                    grouping=grouping,
                    private_sop_classes=(),
                    tolerates_leading_zeros=False,
                )
            work.commit()

    def buy(self, number: str, *, exams: int) -> None:
        """Place and pay an order; it is credited by the running gateway."""
        request = OrderRequest(
            number=number,
            account_id=self._account_id,
            lines=(LineRequest(meter=EXAM, quantity=exams),),
        )
        with self._ledger.begin() as work:
            order = service.place(work, request)
            if isinstance(order, Rejected):
                raise Unmet(f"the order was refused by {order.rule}: {order.message}")
            service.pay(work, number)
            work.commit()

    def is_credited(self, number: str) -> bool:
        """Whether the gateway has credited the order."""
        with self._ledger.read() as view:
            order = view.order(number)
        return order is not None and order.state is OrderState.CREDITED

    def look(self) -> Snapshot:
        """The account and the register, in one snapshot."""
        with self._ledger.read() as view:
            account = view.account(self._account_id)
            return Snapshot(
                account=account,
                reading=service.read_meter(view, account, EXAM),
                refusals=reports.refusals(view, limit=_ROWS_MAX),
            )

    def examinations(self) -> Sequence[ExaminationRow]:
        """Every examination on record."""
        with self._ledger.read() as view:
            return reports.examinations(view, limit=_ROWS_MAX)

    def examination(self, study_instance_uid: str) -> ExaminationRow:
        """The examination of a study. Raises Unmet where there is none."""
        with self._ledger.read() as view:
            detail = reports.examination(view, study_instance_uid)
        if detail is None:
            raise Unmet("an examination that was stored is not on record")
        return detail.row

    def verify(self) -> Report:
        """Run every check of `tollgate verify`."""
        with self._ledger.read() as view:
            return verify(view, archive=self._archive)
