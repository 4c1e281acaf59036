"""What the 1,000,000th instance costs beside the 1,000th: its answer, and its filing.

Run by hand: `python -m tests.benchmarks.millionth [--instances 1000000] [--only SQLite]`; some
minutes a database. Two gateways on ledgers that were filled in bulk take turns, so that both see
the same machine; the UIDs of what is sent lie all over the index. A turn is longer than a batch of
the filer, which therefore waits for nothing. Prints a table, and writes JSON with `--json FILE`.
Nothing fails on a time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track
from sqlalchemy import insert, select, update

from gateway.bootstrap import ARCHIVE
from storage import tables as t
from storage.ledger import SqlLedger
from tests.benchmarks.filling import INSTANCE_BYTES, fill
from tests.benchmarks.pattern import pattern_of, sop_instance_uid
from tests.benchmarks.peers.processes import cpu_s, named
from tests.benchmarks.peers.receivers import segments_are_ready
from tests.benchmarks.peers.scenario import MR
from tests.benchmarks.peers.wire import Association
from tests.benchmarks.serving import CALLED, DEFAULTS
from tests.benchmarks.stores import STORES, Maker
from tests.benchmarks.tables import show
from tests.harness import RunningGateway, wait_until
from tests.storage.kit import url_of

SMALL, PACKAGES_A_THOUSAND = 1_000, 10
A_TURN, A_STUDY = 500, 50
_CALLING = "CT"
"""The device that `fill` makes."""
_VERIFIED = "tollgate_verify_last_run_timestamp_seconds"
_VERIFIED_S, _FILED_S = 300, 60
_MS = 1_000
_OBJECT = "past/object"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One database: an instance on the small ledger, on the large one, and the ratio; in ms."""

    database: str
    instances: int
    fill_s: float
    sent: int
    """To each of the two."""
    answer_median_small_ms: float
    answer_median_ms: float
    answer_median_growth: float
    answer_mean_small_ms: float
    answer_mean_ms: float
    answer_mean_growth: float
    filed_median_small_ms: float
    """From the first byte of a turn until its last instance is on record, over its instances."""
    filed_median_ms: float
    filed_median_growth: float
    filed_mean_small_ms: float
    filed_mean_ms: float
    filed_mean_growth: float
    filer_cpu_small_ms: float
    filer_cpu_ms: float
    filer_cpu_growth: float


class Side:
    """One of the two gateways, and what its turns came to."""

    def __init__(self, gateway: RunningGateway, ledger: SqlLedger) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._pattern = pattern_of(MR)
        self._association = Association(gateway.dicom_port, called=CALLED, calling=_CALLING)
        self._cpu_s = 0.0
        self._studies = 0
        self.answers_ms: list[float] = []
        self.filed_ms: list[float] = []

    def turn(self) -> None:
        """Some studies, one after the other, until all of it is filed."""
        began_s = time.perf_counter()
        for number in range(A_TURN):
            self._studies += number % A_STUDY == 0
            # All over the index, as the UIDs of many devices are.
            study = self._studies * 6_180_339_887 % 8_999_999_929
            request = self._pattern.request(study, number)
            before_s = time.perf_counter()
            self._association.store(request)
            self.answers_ms.append(_MS * (time.perf_counter() - before_s))
        wait_until(lambda: self._is_on_record(sop_instance_uid(study, number)), _FILED_S)
        self.filed_ms.append(_MS * (time.perf_counter() - began_s) / A_TURN)

    def forget(self) -> None:
        """What came so far warmed up."""
        self.answers_ms.clear()
        self.filed_ms.clear()
        self._cpu_s = self._filers_cpu_s()

    def release(self) -> None:
        """The last turn was had."""
        self._association.release()

    def filer_cpu_ms(self) -> float:
        """Of the filers, for each instance."""
        return _MS * (self._filers_cpu_s() - self._cpu_s) / len(self.answers_ms)

    def _filers_cpu_s(self) -> float:
        assert self._gateway.process is not None
        return sum(map(cpu_s, named(self._gateway.process.pid, "filer-")))

    def _is_on_record(self, uid: str) -> bool:
        instances = t.instances.c
        found = select(instances.sop_instance_uid).where(
            instances.institution_id == 1, instances.sop_instance_uid == uid
        )
        with self._ledger.read() as view:
            return view.connection.execute(found).first() is not None


def main() -> None:
    """Measure SQLite, then PostgreSQL."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.millionth", description=__doc__
    )
    parser.add_argument("--instances", type=int, default=1_000_000, help="whole thousands")
    parser.add_argument("--turns", type=int, default=20, help=f"of {A_TURN} instances, on each")
    parser.add_argument("--only", choices=sorted(STORES))
    parser.add_argument("--dir", type=Path, help="where the gateways work")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = []
    for name, opened in STORES.items():
        if arguments.only in {None, name}:
            with (
                opened() as make,
                tempfile.TemporaryDirectory(prefix="millionth-", dir=arguments.dir) as folder,
            ):
                figures = measure(make, name, Path(folder), arguments.instances, arguments.turns)
                found.append(figures)
    show("The millionth instance", found, arguments.json)


def measure(make: Maker, name: str, folder: Path, instances: int, turns: int) -> Figures:
    """Fill a small and a large ledger, start a gateway on each, take turns."""
    ledgers = [make(), make()]
    _fill(ledgers[0], folder / "0", SMALL)
    began_s = time.perf_counter()
    _fill(ledgers[1], folder / "1", instances)
    fill_s = time.perf_counter() - began_s
    with ExitStack() as held:
        gateways = [
            held.enter_context(_gateway(folder / str(number), ledger))
            for number, ledger in enumerate(ledgers)
        ]
        # Both are there before the first association: a silent one would be aborted.
        sides = [Side(*each) for each in zip(gateways, ledgers, strict=True)]
        for number in track(range(turns + 1), description=f"{name}: stores"):
            for side in sides if number % 2 else sides[::-1]:
                side.turn()
            if number == 0:
                for side in sides:
                    side.forget()
        for side in sides:
            side.release()
        return _figures(name, instances, fill_s, sides)


def _fill(ledger: SqlLedger, data_dir: Path, instances: int) -> None:
    """A past of so many instances, all with one object: a million files would take an hour."""
    fill(ledger, charges=instances, packages=instances // 1_000 * PACKAGES_A_THOUSAND)
    path = data_dir / ARCHIVE / _OBJECT
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(bytes(INSTANCE_BYTES))
    with ledger.begin() as work:
        work.connection.execute(update(t.instances).values(object_key=_OBJECT))
        # It is not what was received either: the scrubber is told that it has seen the archive.
        now = work.clock()
        seen = {"kind": "scrub", "began_at": now, "ended_at": now}
        work.connection.execute(insert(t.archive_rounds), seen)
        work.commit()


@contextmanager
def _gateway(data_dir: Path, ledger: SqlLedger) -> Iterator[RunningGateway]:
    """It listens, and has done what it does at its start: verified a ledger of any size."""
    environment = {**DEFAULTS, "TOLLGATE_DATABASE__URL": url_of(ledger)}
    with RunningGateway(data_dir, environment=environment) as gateway:
        wait_until(lambda: _VERIFIED in gateway.http("/metrics"), _VERIFIED_S)
        wait_until(lambda: segments_are_ready(data_dir), _FILED_S)
        yield gateway


def _figures(name: str, instances: int, fill_s: float, sides: Sequence[Side]) -> Figures:
    small, large = sides
    values: dict[str, float] = {}
    for what, of_small, of_large in (
        ("answer", small.answers_ms, large.answers_ms),
        ("filed", small.filed_ms, large.filed_ms),
    ):
        for kind, middle in (("median", statistics.median), ("mean", statistics.mean)):
            one, other = middle(of_small), middle(of_large)
            values |= {
                f"{what}_{kind}_small_ms": one,
                f"{what}_{kind}_ms": other,
                f"{what}_{kind}_growth": other / one,
            }
    used, used_large = small.filer_cpu_ms(), large.filer_cpu_ms()
    return Figures(
        database=name,
        instances=instances,
        fill_s=fill_s,
        sent=len(large.answers_ms),
        filer_cpu_small_ms=used,
        filer_cpu_ms=used_large,
        filer_cpu_growth=used_large / used,
        **values,
    )


if __name__ == "__main__":
    main()
