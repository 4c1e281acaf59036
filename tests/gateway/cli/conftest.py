"""The command line on a data directory of its own, and what others would have put there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from config import DatabaseSettings, Settings
from gateway.bootstrap import open_ledger
from gateway.cli.app import app
from quota import service
from quota.account import EXAM
from quota.admission import RefusalReason
from quota.order import LineRequest, OrderRequest
from quota.time import MICROSECONDS_PER_SECOND, Instant
from storage.archive import PutResult
from storage.engine import system_clock
from storage.filing import Filed
from storage.ledger import SqlLedger
from storage.records import Incoming, StudyDescription
from storage.refusals import RefusedInstance, register
from tests.storage.filed import file_at_once

HOUR = 3_600 * MICROSECONDS_PER_SECOND
PATIENT = "Zhang^San=张^三"


@dataclass(frozen=True, kw_only=True)
class Cli:
    """`tollgate` on one data directory."""

    data_dir: Path
    database_url: str = ""
    """Where the ledger is, if not in the data directory."""

    def run(self, *arguments: str, terminal: bool = False, width: int = 120) -> Result:
        """Run a command; `terminal` makes it believe that a person looks on."""
        environment: Mapping[str, str | None] = {
            "TOLLGATE_DATA_DIR": str(self.data_dir),
            "TOLLGATE_DATABASE__URL": self.database_url or None,
            "FORCE_COLOR": "1" if terminal else None,
            "TTY_COMPATIBLE": None,
            "NO_COLOR": "1" if terminal else None,
            "COLUMNS": str(width),
        }
        result = CliRunner().invoke(app, list(arguments), env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    def ok(self, *arguments: str, terminal: bool = False, width: int = 120) -> str:
        """What a command that must succeed printed."""
        result = self.run(*arguments, terminal=terminal, width=width)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """The `--json` answer of a command that must succeed."""
        return json.loads(self.ok(*arguments, "--json"))

    def refused(self, *arguments: str, status: int = 1) -> str:
        """What a command that must fail said, without `error: `: one line, nothing printed."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stdout) == (status, ""), result.output
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.startswith("error: "), result.stderr
        return result.stderr.removeprefix("error: ").strip()

    def begin(self) -> None:
        """An empty ledger."""
        self.ledger().database.dispose()

    def hospital(self) -> None:
        """An account with an institution and a CT; nothing was bought."""
        self.ok("account", "create", "Lakeside", "--plan", "per-exam", "--agreement", "A-17")
        self.ok("institution", "create", "East", "--account", "Lakeside")
        self.ok("device", "add", "CT1", "--institution", "East")

    def buy(self, number: str, exams: int = 1000) -> None:
        """Place, pay and credit an order."""
        self.ok("order", "place", "--account", "1", "--exams", str(exams), "--order-no", number)
        self.ok("order", "pay", number)

    def bought(self, number: str, *, hours_ago: float) -> None:
        """An order of 1,000 examinations that was placed, paid and credited some hours ago."""
        at = system_clock() - int(hours_ago * HOUR)
        ledger = self.ledger(clock=lambda: at)
        line = LineRequest(meter=EXAM, quantity=1000)
        with ledger.begin() as work:
            service.place(work, OrderRequest(number=number, account_id=1, lines=(line,)))
            service.pay(work, number)
            service.credit(work, number)
            work.commit()
        ledger.database.dispose()

    def ledger(self, *, clock: Callable[[], Instant] = system_clock) -> SqlLedger:
        """The ledger behind it all."""
        database = DatabaseSettings(url=SecretStr(self.database_url))
        return open_ledger(Settings(data_dir=self.data_dir, database=database), clock=clock)

    def upload(self, *, examinations: int, hours_ago: float = 0, first: int = 0) -> list[str]:
        """File examinations of one instance each, as a gateway would have; returns their ids."""
        at = system_clock() - int(hours_ago * HOUR)
        ledger = self.ledger(clock=lambda: at)
        ids = [f"exam-{number}" for number in range(first, first + examinations)]
        with ledger.begin() as work:
            for number, examination_id in enumerate(ids, start=first):
                filed = file_at_once(
                    work,
                    incoming(number),
                    proposed_id=examination_id,
                    sha256="0" * 64,
                    quiet_period=HOUR // 60,
                    put=_put_nowhere,
                )
                assert isinstance(filed, Filed)
            work.commit()
        ledger.database.dispose()
        return ids

    def refuse(self, *, number: int, hours_ago: float = 0) -> None:
        """Put one refusal into the register."""
        ledger = self.ledger()
        refused = RefusedInstance(
            incoming=incoming(number),
            reason=RefusalReason.GRACE_OVER,
            at=system_clock() - int(hours_ago * HOUR),
        )
        with ledger.begin() as work:
            register(work, [refused])
            work.commit()
        ledger.database.dispose()


def _put_nowhere(key: str) -> PutResult:
    return PutResult(key=key, size_bytes=1_999_999, fingerprint="")


def incoming(number: int) -> Incoming:
    """An instance of the examination `number`, from the first device of the first institution."""
    return Incoming(
        institution_id=1,
        device_id=1,
        calling_ae_title="CT1",
        examination_key=f"study:1.2.{number}",
        study_instance_uid=f"1.2.{number}",
        series_instance_uid=f"1.2.{number}.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"1.2.{number}.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        patient_id_raw=b"P-4711",
        description=StudyDescription(
            accession=f"ACC{number}",
            patient_id="P-4711",
            patient_name=PATIENT,
            modality="CT",
            study_date="20261122",
            study_description="Thorax\x1b[31m",
        ),
    )


@pytest.fixture
def tollgate(tmp_path: Path) -> Cli:
    """`tollgate` on a data directory that does not exist yet."""
    return Cli(data_dir=tmp_path / "data")
