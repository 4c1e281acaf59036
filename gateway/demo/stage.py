"""The stage: one gateway, its hospital, the devices and the clock; and waiting without sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.admissions import REFUSAL_S
from gateway.demo.clock import MovableClock
from gateway.demo.errors import Stopped, Unmet
from gateway.demo.gateway import Gateway
from gateway.demo.hospital import Hospital, Snapshot
from gateway.demo.images import CT, FUNDUS, MR, Examination, Image
from gateway.demo.modality import Modality
from gateway.demo.teller import Scene, Teller
from quota.standing import Status
from quota.time import Instant, to_datetime

_FILING_MAX_S = 30.0
_SENDING_MAX_S = 600.0
"""Only against waiting for ever: how fast this machine is, is not the story's affair."""
_CREDITING_MAX_S = 20.0
_REGISTERING_MAX_S = 20.0
_PAUSES_UNTIL_S = 40.0
"""On a slow machine time goes into sending: the whole is to stay under a minute."""
# AE title, kind, associations at once: beyond four in all the threads of one Python process get
# into one another's way.
_DEVICES = (("CT1", CT, 1), ("MR1", MR, 2), ("FUNDUS1", FUNDUS, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """How what all devices sent was answered."""

    stored: int
    refused: int
    comments: frozenset[str]


class Stopping:
    """Says that somebody asked the demo to end, and by which signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._signal_number = 0

    def ask(self, signal_number: int) -> None:
        """Note the signal; a second one changes nothing."""
        self._signal_number = self._signal_number or signal_number
        self.event.set()

    def check(self) -> None:
        """Raise Stopped where the demo was asked to end."""
        if self._signal_number:
            raise Stopped(self._signal_number)


class Stage:
    """What the steps of the story act on."""

    def __init__(self, *, teller: Teller, stopping: Stopping, clock: MovableClock) -> None:
        self.clock = clock
        self.devices: tuple[Modality, ...] = ()
        self.sending_s = 0.0
        self._teller = teller
        self._stopping = stopping
        self._began_s = time.monotonic()
        self._hospital: Hospital | None = None
        self._unfiled: Callable[[], int] = lambda: 0

    # -- setting up and striking -------------------------------------------------------------------

    @property
    def hospital(self) -> Hospital:
        """The hospital; it is founded in the story's first step."""
        assert self._hospital is not None, "founded in the first step"
        return self._hospital

    def found(self, gateway: Gateway, *, data_dir: Path) -> None:
        """Found the hospital with its devices at a gateway that has started."""
        self._hospital = Hospital(gateway.ledger, data_dir=data_dir)
        self._unfiled = lambda: gateway.worker.unfiled
        today = to_datetime(self.clock()).strftime("%Y%m%d")
        self.devices = tuple(
            Modality(
                kind=kind,
                ae_title=ae_title,
                port=gateway.dicom_port,
                associations_max=associations,
                study_date=today,
                stopping=self._stopping.event,
            )
            for ae_title, kind, associations in _DEVICES
        )
        self._hospital.register(self.devices)

    def strike(self) -> None:
        """End whatever the devices are sending."""
        self._stopping.event.set()
        for device in self.devices:
            device.join()

    @property
    def seconds(self) -> float:
        """Since the story began."""
        return time.monotonic() - self._began_s

    @property
    def scene(self) -> Scene:
        """What a view may look at."""
        return Scene(devices=self.devices, look=self.look)

    # -- what steps do -----------------------------------------------------------------------------

    def look(self) -> Snapshot:
        """The account and the register as they are."""
        return self.hospital.look()

    def wait(self, until: Callable[[], bool], *, what: str, at_most_s: float) -> None:
        """Wait, drawing. Raises Unmet when it takes too long, and Stopped."""
        deadline_s = time.monotonic() + at_most_s
        while not until():
            if time.monotonic() > deadline_s:
                raise Unmet(f"{what} did not happen within {at_most_s:.0f} s")
            self._pass(self._teller.interval_s)

    def rest(self) -> None:
        """Leave a finished step to be read, as long as there is time."""
        if self.seconds < _PAUSES_UNTIL_S:
            self.dwell(self._teller.pause_s)

    def dwell(self, seconds: float) -> None:
        """Let some time pass, drawing."""
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._pass(min(left_s, self._teller.interval_s))

    def _pass(self, seconds: float) -> None:
        self._stopping.event.wait(seconds)
        self._stopping.check()
        if self._hospital is not None:
            self._teller.watch(self.scene)

    def move_clock(self, by: Instant, *, moves: int) -> None:
        """Move the demo's clock in many small moves, so that the countdown is seen to run."""
        for move in range(moves):
            self.clock.move(by * (move + 1) // moves - by * move // moves)
            self.dwell(self._teller.pause_s / 20)

    def take(self, examinations: Mapping[str, int]) -> list[Examination]:
        """New examinations, so many of each device by its AE title."""
        return [
            examination
            for device in self.devices
            for examination in device.worklist.take(examinations.get(device.ae_title, 0))
        ]

    def send(self, examinations: Sequence[Examination]) -> Sent:
        """Have every image of them sent, each by its own device, all devices at once."""
        return self.send_images([(one, one.images) for one in examinations])

    def send_images(self, work: Sequence[tuple[Examination, Sequence[Image]]]) -> Sent:
        """Have these images sent. Raises Unmet where one got neither 0x0000 nor 0xA700."""
        began_s = time.monotonic()
        for device in self.devices:
            device.begin([item for item in work if item[0].kind is device.kind])
        self.wait(
            lambda: not any(device.sending for device in self.devices),
            what="sending all of it",
            at_most_s=_SENDING_MAX_S,
        )
        self.sending_s += time.monotonic() - began_s
        batches = [device.finish() for device in self.devices]
        self.wait(lambda: self._unfiled() == 0, what="filing all of it", at_most_s=_FILING_MAX_S)
        return Sent(
            stored=sum(batch.stored for batch in batches),
            refused=sum(batch.refused for batch in batches),
            comments=frozenset().union(*(batch.comments for batch in batches)),
        )

    def buy(self, number: str, *, exams: int) -> float:
        """Pay an order and wait until the gateway has credited it; returns the seconds it took."""
        began_s = time.monotonic()
        self.hospital.buy(number, exams=exams)
        self.wait(
            lambda: self.hospital.is_credited(number),
            what="crediting the order",
            at_most_s=_CREDITING_MAX_S,
        )
        took_s = time.monotonic() - began_s
        # A refusal may be remembered for so long: only then does everybody know of the top-up.
        self.wait(
            lambda: time.monotonic() - began_s > REFUSAL_S,
            what="forgetting the refusals",
            at_most_s=REFUSAL_S + 1.0,
        )
        return took_s

    # -- what steps expect -------------------------------------------------------------------------

    def expect_account(self, status: Status, *, available: int, used: int, owed: int) -> None:
        """The ledger says exactly this."""
        reading = self.look().reading
        meter = reading.meter
        expect("the status", reading.status, status)
        expect("what is available", meter.available, available)
        expect("what is used", meter.used, used)
        expect("what is owed", meter.owed, owed)

    def expect_register(self, *, open_entries: int, entries: int, missing: int) -> None:
        """The register says exactly this, as soon as its writer has come round to it."""

        def found() -> tuple[int, int, int]:
            snapshot = self.look()
            rows = snapshot.refusals
            return snapshot.open_refusals, len(rows), sum(row.missing for row in rows)

        wanted = (open_entries, entries, missing)
        self.wait(
            lambda: found() == wanted,
            what=f"the register of refusals with {wanted} open, listed and missing",
            at_most_s=_REGISTERING_MAX_S,
        )


def expect(what: str, found: object, wanted: object) -> None:
    """Raise Unmet unless what was found is what the story promises."""
    if found != wanted:
        raise Unmet(f"{what} should be {wanted}, and is {found}")
