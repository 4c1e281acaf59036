"""The filer and the store lane over a real spool, a real archive and a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.admissions import REFUSAL_S, Admissions
from gateway.desk import FilingDesk
from gateway.dicom import part10
from gateway.dicom.access import Accepted
from gateway.dicom.request import StoreCommand
from gateway.dicom.status import STORED, Failure, StoreAnswer
from gateway.filing import Backoff, Filer
from gateway.intake import Intake
from quota.admission import RefusalReason
from storage.errors import ArchiveUnavailable, StorageError
from storage.filing import Filed, Filing, Same
from storage.placing import Arrival
from storage.spool import Spool
from tests.gateway.dicom.support import CT_IMAGE_STORAGE, EXPLICIT_LITTLE, ct_image, encoded
from tests.storage.hospital import QUIET, Site
from tests.storage.kit import HandClock, add_account, open_sqlite, top_up


@dataclass
class Told:
    """An observer that keeps what it is told."""

    filed: list[Filing] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def record_filed(self, arrival: Arrival, filing: Filing, *, lag_s: float) -> None:
        """Keep it."""
        assert lag_s >= 0 and arrival.object_key != ""
        self.filed.append(filing)

    def filing_failed(self, error: Exception) -> None:
        """Keep it."""
        self.failed.append(type(error).__name__)

    def store_failed(self, accepted: Accepted, failure: Failure, error: StorageError) -> None:
        """Keep it."""
        self.failed.append(failure)

    def __getattr__(self, name: str) -> object:
        """Whatever else is told is of no interest here."""
        return lambda *_, **__: None


@dataclass
class Gateway:
    """A hospital's spool, lane and filer."""

    site: Site
    spool: Spool
    told: Told
    intake: Intake
    filer: Filer
    seconds: list[float]

    def store(self, number: int = 1, *, study: str = "1.2.3") -> StoreAnswer:
        """Store one instance on the lane, in two pieces."""
        uid = f"{study}.{number}"
        data_set = encoded(ct_image(SOPInstanceUID=uid, StudyInstanceUID=study))
        command = StoreCommand(
            message_id=1,
            affected_sop_class_uid=CT_IMAGE_STORAGE,
            affected_sop_instance_uid=uid,
            context_sop_class_uid=CT_IMAGE_STORAGE,
            transfer_syntax_uid=EXPLICIT_LITTLE,
        )
        accepted = Accepted(institution=self.site.institution, device=self.site.device)
        receiving = self.intake.begin(accepted, command)
        receiving.write(memoryview(data_set)[:40])
        receiving.write(memoryview(data_set)[40:])
        return receiving.finish()


@pytest.fixture
def gateway(tmp_path: Path, clock: HandClock) -> Iterator[Gateway]:
    """One with twenty units."""
    ledger = open_sqlite(tmp_path, clock)
    site = Site(ledger, add_account(ledger), tmp_path / "archive")
    told, seconds = Told(), [0.0]
    directory = tmp_path / "spool" / str(uuid4())
    with Spool.open(directory, segment_bytes=1 << 20, any_file_system=True) as spool:
        intake = Intake(
            spool=spool,
            admissions=Admissions(ledger, monotonic_s=lambda: seconds[0]),
            observer=told,  # type: ignore[arg-type]  # the rest of it by __getattr__
            register_refusal=lambda _: None,
            clock=clock,
        )
        filer = Filer(
            desk=FilingDesk([spool]),
            ledger=ledger,
            archive=site.archive,
            observer=told,
            quiet_period=QUIET,
            clock=clock,
        )
        yield Gateway(site, spool, told, intake, filer, seconds)
    ledger.database.dispose()


@pytest.fixture
def clock() -> HandClock:
    """A clock that is set by hand."""
    return HandClock()


def test_what_is_acknowledged_is_filed_as_a_whole_part_10_file(gateway: Gateway) -> None:
    """The object is our header and the data set as it came; the spool is empty after it."""
    top_up(gateway.site.ledger, gateway.site.account, "SO-1", 20)
    assert gateway.store() == STORED
    assert gateway.spool.usage().records == 1

    assert gateway.filer.round() == 1

    (filed,) = gateway.told.filed
    assert isinstance(filed, Filed)
    (key,) = [info.key for info in gateway.site.archive.list("objects")]
    header = part10.header(
        sop_class_uid=CT_IMAGE_STORAGE,
        sop_instance_uid="1.2.3.1",
        transfer_syntax_uid=EXPLICIT_LITTLE,
    )
    data_set = encoded(ct_image(SOPInstanceUID="1.2.3.1", StudyInstanceUID="1.2.3"))
    assert gateway.site.archive.path(key).read_bytes() == header + data_set
    assert gateway.spool.usage().records == 0


def test_a_resend_is_acknowledged_and_filed_as_the_same(gateway: Gateway) -> None:
    """The lane does not ask: filing alone decides."""
    top_up(gateway.site.ledger, gateway.site.account, "SO-1", 20)
    assert [gateway.store(), gateway.store()] == [STORED, STORED]

    gateway.filer.round()

    assert [type(one) for one in gateway.told.filed] == [Filed, Same]


def test_a_refusal_writes_nothing_and_is_remembered_for_a_second(gateway: Gateway) -> None:
    """A top-up works after that second at the latest; the memory admits nobody."""
    assert gateway.store().outcome is RefusalReason.UNPROVISIONED
    assert gateway.spool.usage().records == 0
    top_up(gateway.site.ledger, gateway.site.account, "SO-1", 20)
    assert gateway.store(2).outcome is RefusalReason.UNPROVISIONED

    gateway.seconds[0] = REFUSAL_S

    assert gateway.store() == STORED


def test_an_admitted_examination_goes_on_without_the_ledger(gateway: Gateway) -> None:
    """Pinned: its further instances ask nobody. A new one is not let in."""
    top_up(gateway.site.ledger, gateway.site.account, "SO-1", 20)
    assert gateway.store() == STORED
    gateway.site.ledger.database.dispose()
    lost = gateway.site.archive.root.parent / "ledger.sqlite3"
    lost.rename(lost.with_suffix(".away"))
    lost.mkdir()

    assert gateway.store(2) == STORED
    assert gateway.store(study="4.5").outcome is Failure.LEDGER_UNAVAILABLE


def test_what_the_archive_does_not_take_stays_in_the_spool(gateway: Gateway) -> None:
    """The round fails, nothing is released or on record; the next one files it."""
    top_up(gateway.site.ledger, gateway.site.account, "SO-1", 20)
    gateway.store()
    in_the_way = gateway.site.archive.root / "objects"
    in_the_way.write_bytes(b"")
    with pytest.raises(ArchiveUnavailable):
        gateway.filer.round()
    assert gateway.spool.usage().records == 1
    in_the_way.unlink()

    assert gateway.filer.round() == 1


def test_a_pause_grows_to_a_bound_and_ends_with_success() -> None:
    """Bounded exponential, with jitter of at most a half."""
    backoff = Backoff()
    longest = []
    for _ in range(40):
        backoff = backoff.after(failed=True)
        longest.append(backoff.pause_s)
    assert 0.1 <= longest[0] <= 0.2
    assert max(longest) <= 15.0
    assert replace(backoff, failures=0).pause_s == backoff.after(failed=False).pause_s == 0.0
