"""Power cuts of a whole gateway under load: all its disks at once, then everything is compared."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.peers.processes import descendants
from tests.durability.aftermath import Aftermath, Site, charges, look, on_record
from tests.durability.powercut import CutVolume, cut_volume
from tests.durability.scu import STORED, Image, association, store
from tests.durability.senders import Promises, Senders, studies
from tests.durability.site import ready
from tests.harness import RunningGateway, wait_until

SENDERS = 4
_SEGMENT_BYTES = 1 << 20
_ANSWERS = (3, 60)
_MOMENT_S = 0.03
_ATTEMPTS = 3
_ANSWER_S = 15
BUGS = Path(__file__).parent / "bugs"


@dataclass(kw_only=True)
class Tally:
    """What came of the cuts."""

    cuts: int = 0
    acknowledged: int = 0
    charges: int = 0
    wrong: list[Aftermath] = field(default_factory=list)
    """What was not as promised after some cut."""
    damages: int = 0
    """Records that a start reported as damaged; a torn one was never acknowledged, and is none."""

    @property
    def figures(self) -> dict[str, int]:
        """For the report of the run."""
        return {
            "cuts": self.cuts,
            "acknowledged": self.acknowledged,
            "lost": sum(len(one.lost) for one in self.wrong),
            "doubled": sum(len(one.doubled) for one in self.wrong),
        }


class CutGateway:
    """A gateway on disks that lose their power, again and again on the same site."""

    def __init__(self, site: Site, volumes: Sequence[CutVolume], *, bug: str = "") -> None:
        self._site = site
        self._volumes = volumes
        self._environment = {
            **site.environment,
            "TOLLGATE_SPOOL__SEGMENT_BYTES": str(_SEGMENT_BYTES),
            "TOLLGATE_SPOOL__FILL_MAX_BYTES": str(64 << 20),
        }
        if bug:
            self._environment |= {"PYTHONPATH": str(BUGS), "SEEDED_BUG": bug}
        self._promised = Promises()
        self._again: list[Image] = []
        """What had no answer; it is sent again after the next start, with something known."""
        self.tally = Tally()

    def run(self, cuts: int, *, until_wrong: bool = False) -> Tally:
        """So many times: start, look for what is owed, send, cut. A last start and look follow."""
        for seed in range(cuts + 1):
            with RunningGateway(self._site.data, environment=self._environment) as gateway:
                self._recover(gateway)
                if seed == cuts or (until_wrong and self.tally.wrong):
                    break
                self._cut(gateway, seed)
        self.tally.acknowledged = len(self._promised.digest)
        self.tally.charges, used = charges(self._site)
        assert self.tally.wrong or used == self.tally.charges
        return self.tally

    def _recover(self, gateway: RunningGateway) -> None:
        """Wait until what was acknowledged has been filed, compare, and send again."""
        owed = set(self._promised.digest)
        # The metric is looked at as well, so that what is lost is not waited for.
        wait_until(lambda: owed <= on_record(self._site) or unfiled(gateway) == 0)
        # Whatever is damaged is known once nothing waits any more: both are told at once.
        wait_until(lambda: unfiled(gateway) == 0)
        self.tally.damages += round(gateway.metric("tollgate_spool_damages"))
        self._compare()
        send_again(gateway.dicom_port, self._again)
        self._promised.add(self._again)
        self._again.clear()

    def _compare(self) -> None:
        found = look(self._site, self._promised)
        if not found.clean:
            self.tally.wrong.append(found)

    def _cut(self, gateway: RunningGateway, seed: int) -> None:
        chance = random.Random(seed)
        senders = Senders(gateway.dicom_port, [studies(seed + 1, n) for n in range(SENDERS)])
        senders.start()
        senders.await_answers(chance.randint(*_ANSWERS))
        # Between two answers as well: a moment that has nothing to do with them.
        threading.Event().wait(chance.random() * _MOMENT_S)
        senders.accident()
        for volume in chance.sample(list(self._volumes), len(self._volumes)):
            volume.cut()
        kill_all(gateway)
        senders.join()
        for volume in self._volumes:
            volume.remount()
        assert not senders.refused
        self.tally.cuts += 1
        self._promised.add(senders.acknowledged)
        self._again = [*senders.unanswered, *senders.late, *senders.acknowledged[-3:]]


def send_again(port: int, images: Sequence[Image]) -> None:
    """Every image is stored, at the second attempt at the latest.

    pynetdicom's association now and then takes an answer for itself, and its sender never sees it.
    """
    for each in images:
        answers: list[int | None] = []
        while STORED not in answers:
            assert len(answers) < _ATTEMPTS and set(answers) <= {None}
            with association(port) as opened:
                opened.dimse_timeout = _ANSWER_S
                answers.append(store(opened, each))


def unfiled(gateway: RunningGateway) -> float:
    """How many records wait in the spools, as the workers said within the last second."""
    return gateway.metric("tollgate_spool_records")


def kill_all(gateway: RunningGateway) -> None:
    """End all processes of a gateway at once, as the power would."""
    assert gateway.process is not None
    pids = descendants(gateway.process.pid)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    gateway.kill()
    wait_until(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def cut_gateway(folder: Path, *, disks: Sequence[str], bug: str = "") -> Iterator[CutGateway]:
    """A gateway whose parts are on the named disks: data, and ledger and spool if they are apart.

    Skips the test where file systems can't be mounted.
    """
    with ExitStack() as held:
        volumes = {
            name: held.enter_context(cut_volume(folder, size_mib=512, name=name)) for name in disks
        }
        where = {name: volumes.get(name, volumes["data"]).path for name in ("ledger", "spool")}
        site = Site(
            data=volumes["data"].path / "gateway",
            ledger=where["ledger"],
            spool=where["spool"] / "spools",
        )
        ready(site.data, environment=site.environment)
        yield CutGateway(site, list(volumes.values()), bug=bug)
