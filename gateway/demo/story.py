"""The story, step by step. Each step acts, checks what it promises and says what happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from gateway.cli import units
from gateway.demo.errors import Unmet
from gateway.demo.gateway import Gateway
from gateway.demo.images import Examination, another_image
from gateway.demo.stage import Stage, expect
from gateway.demo.teller import Summary
from gateway.dicom.status import TABLE, Outcome
from quota.admission import RefusalReason
from quota.ledger import GRACE, ChargeState
from quota.order import UNITS_PER_EXAM_LINE
from quota.standing import Status
from quota.time import MICROSECONDS_PER_SECOND

Step: TypeAlias = tuple[str, Callable[[], str]]

_PACKAGE = UNITS_PER_EXAM_LINE
_UNTIL_LOW = {"CT1": 134, "MR1": 630, "FUNDUS1": 135}
_UNTIL_EMPTY = {"CT1": 15, "MR1": 70, "FUNDUS1": 15}
_INTO_ARREARS = {"CT1": 4, "MR1": 16, "FUNDUS1": 4}
_LAST_MINUTE = {"MR1": 1}
_IN_SUSPENSION = {"CT1": 4, "MR1": 5, "FUNDUS1": 3}
_MINUTE = 60 * MICROSECONDS_PER_SECOND
_MOVES = 48


class Story:
    """An account that pays, runs out, is refused, pays again and goes on."""

    def __init__(self, stage: Stage, gateway: Gateway, *, data_dir: Path) -> None:
        self._stage = stage
        self._gateway = gateway
        self._data_dir = data_dir
        self._first: list[Examination] = []
        self._refused: list[Examination] = []
        self._admitted = 0
        self._owed_most = 0

    def steps(self) -> list[Step]:
        """Titles and what is done, in order."""
        thousand = units.count(_PACKAGE)
        return [
            ("Start a gateway, register a hospital and three devices", self._start),
            ("Send before anything was bought", self._send_without_quota),
            (f"Pay for {thousand} examinations", self._pay),
            ("Send until little is left", self._send_until_low),
            ("Use up the package", self._send_until_empty),
            ("Send more than was bought", self._go_into_arrears),
            ("Let 24 hours pass: only the demo's clock moves", self._pass_the_grace),
            ("Send new examinations after the grace", self._send_in_suspension),
            ("Send another image of an admitted examination", self._complete_admitted),
            ("Top up", self._top_up),
            ("Send the refused examinations again", self._send_refused_again),
            ("Verify the ledger and the archive", self._verify),
        ]

    def summary(self) -> Summary:
        """The figures, read from the ledger."""
        rows = self._stage.hospital.examinations()
        refusals = self._stage.look().refusals
        instances = sum(row.instances for row in rows)
        answered = instances + sum(row.refused for row in refusals)
        return Summary(
            examinations=len(rows),
            instances=instances,
            funded=sum(row.charge == ChargeState.FUNDED for row in rows),
            owed=sum(row.charge == ChargeState.OWED for row in rows),
            owed_most=self._owed_most,
            refused_examinations=len(refusals),
            refused_instances=sum(row.refused for row in refusals),
            missing=sum(row.missing for row in refusals),
            instances_per_second=answered / max(self._stage.sending_s, 0.001),
            seconds=self._stage.seconds,
        )

    # -- the steps ---------------------------------------------------------------------------------

    def _start(self) -> str:
        self._stage.found(self._gateway, data_dir=self._data_dir)
        expect("what keeps the gateway from being ready", self._gateway.not_ready(), [])
        return (
            f"It listens on 127.0.0.1, DICOM on port {self._gateway.dicom_port} and HTTP on "
            f"{self._gateway.http_port}; its data is in a temporary directory."
        )

    def _send_without_quota(self) -> str:
        self._stage.expect_account(Status.UNPROVISIONED, available=0, used=0, owed=0)
        self._first = self._stage.take({"CT1": 1})
        comment = self._refuse(self._first, RefusalReason.UNPROVISIONED)
        self._stage.expect_register(open_entries=1, entries=1, missing=_images(self._first))
        return f'The CT is refused with 0xA700: "{comment}"'

    def _pay(self) -> str:
        seconds = self._stage.buy("DEMO-1", exams=_PACKAGE)
        self._stage.expect_account(Status.OK, available=_PACKAGE, used=0, owed=0)
        self._admit(self._first)
        self._stage.expect_account(Status.OK, available=_PACKAGE - 1, used=1, owed=0)
        self._stage.expect_register(open_entries=0, entries=1, missing=0)
        return (
            f"The running gateway credited the order {seconds:.1f} s after the payment; "
            "the refused examination was sent again and is stored."
        )

    def _send_until_low(self) -> str:
        sent = self._send_new(_UNTIL_LOW)
        self._check_names(sent)
        left = _PACKAGE - self._admitted
        self._stage.expect_account(Status.LOW, available=left, used=self._admitted, owed=0)
        return (
            f"{units.count(self._admitted)} are used and {units.count(left)} left: the account "
            "is LOW, which is a warning and nothing more."
        )

    def _send_until_empty(self) -> str:
        self._send_new(_UNTIL_EMPTY)
        self._stage.expect_account(Status.EMPTY, available=0, used=_PACKAGE, owed=0)
        return "Nothing is left and nothing is owed: the account is EMPTY, and uploads go on."

    def _go_into_arrears(self) -> str:
        self._send_new(_INTO_ARREARS)
        owed = self._admitted - _PACKAGE
        self._stage.expect_account(Status.ARREARS, available=0, used=_PACKAGE, owed=owed)
        return (
            f"The hospital works on: {owed} more are stored, exactly {owed} are owed, and the "
            "24 hours have begun."
        )

    def _pass_the_grace(self) -> str:
        self._stage.move_clock(self._time_left() - _MINUTE, moves=_MOVES)
        self._send_new(_LAST_MINUTE)
        self._owed_most = self._admitted - _PACKAGE
        self._stage.expect_account(Status.ARREARS, available=0, used=_PACKAGE, owed=self._owed_most)
        self._stage.move_clock(max(self._time_left(), 0), moves=1)
        self._stage.expect_account(
            Status.SUSPENDED, available=0, used=_PACKAGE, owed=self._owed_most
        )
        return (
            f"One minute before the end an examination was still let in, now {self._owed_most} "
            "are owed; then the account is SUSPENDED."
        )

    def _send_in_suspension(self) -> str:
        self._refused = self._stage.take(_IN_SUSPENSION)
        comment = self._refuse(self._refused, RefusalReason.GRACE_OVER)
        count, images = len(self._refused), _images(self._refused)
        self._stage.expect_register(open_entries=count, entries=1 + count, missing=images)
        self._stage.expect_account(
            Status.SUSPENDED, available=0, used=_PACKAGE, owed=self._owed_most
        )
        return (
            f"{count} new examinations are refused and registered, all {images} images of them: "
            f'"{comment}"'
        )

    def _complete_admitted(self) -> str:
        known = self._first[0]
        before = self._stage.hospital.examination(known.images[0].study_instance_uid)
        sent = self._stage.send_images([(known, [another_image(known)])])
        expect("what was stored", sent.stored, 1)
        after = self._stage.hospital.examination(known.images[0].study_instance_uid)
        expect("its instances", after.instances, before.instances + 1)
        self._stage.expect_account(
            Status.SUSPENDED, available=0, used=_PACKAGE, owed=self._owed_most
        )
        return (
            f"It is stored, image {after.instances} of {known.accession}: what was admitted is "
            "always completed, and never charged again."
        )

    def _top_up(self) -> str:
        seconds = self._stage.buy("DEMO-2", exams=_PACKAGE)
        left = _PACKAGE - self._owed_most
        self._stage.expect_account(Status.OK, available=left, used=self._admitted, owed=0)
        return (
            f"{seconds:.1f} s after the payment, {self._owed_most} of {units.count(_PACKAGE)} more "
            f"have paid off what was owed, {left} are available and uploads resume by themselves."
        )

    def _send_refused_again(self) -> str:
        self._admit(self._refused)
        left = 2 * _PACKAGE - self._admitted
        self._stage.expect_account(Status.OK, available=left, used=self._admitted, owed=0)
        self._stage.expect_register(open_entries=0, entries=1 + len(self._refused), missing=0)
        return f"All {len(self._refused)} are stored, and every entry of the register is resolved."

    def _verify(self) -> str:
        report = self._stage.hospital.verify()
        if not report.ok:
            raise Unmet(f"verify: {report.violations[0].check.name}")
        rows = self._stage.hospital.examinations()
        expect("the examinations on record", len(rows), self._admitted)
        expect("those funded", sum(row.charge == "funded" for row in rows), self._admitted)
        stored = sum(device.instances_stored for device in self._stage.devices)
        expect("the instances on record", sum(row.instances for row in rows), stored)
        return (
            f"All {len(report.checks)} checks hold: {units.count(len(rows))} examinations, "
            f"{units.count(stored)} instances, and whatever was acknowledged is there."
        )

    # -- what the steps share ----------------------------------------------------------------------

    def _send_new(self, examinations: dict[str, int]) -> list[Examination]:
        sent = self._stage.take(examinations)
        self._admit(sent)
        return sent

    def _admit(self, examinations: list[Examination]) -> None:
        """Send examinations that must all be stored."""
        sent = self._stage.send(examinations)
        expect("what was refused", sent.refused, 0)
        expect("what was stored", sent.stored, _images(examinations))
        self._admitted += len(examinations)

    def _refuse(self, examinations: list[Examination], reason: Outcome) -> str:
        """Send examinations that must all be refused; returns the comment that came with it."""
        sent = self._stage.send(examinations)
        expect("what was stored", sent.stored, 0)
        expect("what was refused", sent.refused, _images(examinations))
        expect("the Error Comments", sent.comments, {TABLE[reason].comment})
        return TABLE[reason].comment

    def _check_names(self, examinations: list[Examination]) -> None:
        """Chinese names arrive as they were sent, in whatever character set."""
        for kind in {examination.kind for examination in examinations}:
            sent = next(one for one in examinations if one.kind is kind)
            row = self._stage.hospital.examination(sent.images[0].study_instance_uid)
            if row.patient_name != sent.patient_name:
                raise Unmet(f"a name in {kind.character_set} did not arrive as it was sent")
            expect("the images of an examination", row.instances, len(sent.images))

    def _time_left(self) -> int:
        """Until the deadline, in µs."""
        reading = self._stage.look().reading
        if reading.meter.episode is None:
            raise Unmet("no arrears were noticed")
        expect(
            "the grace", reading.meter.episode.deadline - reading.meter.episode.started_at, GRACE
        )
        return reading.meter.episode.deadline - reading.at


def _images(examinations: list[Examination]) -> int:
    return sum(len(one.images) for one in examinations)
