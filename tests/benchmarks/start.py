"""How long after a crash a gateway listens whose spools are full.

Run by hand, as root, with `--gb` and 12 GB more free: `python -m tests.benchmarks.start [--gb 50]`.
Records of MR and CT instances, half of the bytes each, are written into the spools by a process
that is killed while it holds `--leases` segments. Then `tollgate serve` starts: once with nothing
in the page cache, and once more, after another such kill, with what the opening reads still there.
Times are from the start of the process. Prints a table, and writes JSON with `--json FILE`. Nothing
fails on a time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from rich.progress import Progress

from gateway.bootstrap import SPOOL
from storage.spool import spools
from tests.benchmarks.pattern import pattern_of, study_instance_uid
from tests.benchmarks.peers.processes import named, peak_bytes
from tests.benchmarks.peers.receivers import free_port
from tests.benchmarks.peers.scenario import CT, GB, MB, MR
from tests.benchmarks.serving import DEFAULTS, associated, serving
from tests.benchmarks.spool_filling import Admitted, Task, fill_and_kill
from tests.benchmarks.tables import show
from tests.durability.evidence import query
from tests.durability.scu import associate, end
from tests.harness import RunningGateway

STUDIES = 200
_BETWEEN_BYTES = 32 << 20
"""What each lease takes before the second crash: half a segment."""
_KEEP_FREE_GB = 12
_LISTENS_S = 120
_ASK_AGAIN_S = 0.02
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One start."""

    page_cache: str
    gb: float
    """That the records which wait to be filed take in the spools."""
    records: int
    segments: int
    open_leases: int
    echo_s: float
    """Until a C-ECHO was answered 0x0000 on a new association."""
    ready_s: float
    """Until /readyz said 200."""
    started_s: float
    """Until the gateway said that it has started."""
    records_found: int
    """That wait in the spools when this is over; the filers are at work by then."""
    damages: int
    worker_peak_mb: float


@dataclass(kw_only=True)
class Crash:
    """What lies in the spools."""

    bytes: int = 0
    records: int = 0


def main() -> None:
    """Fill, start cold, crash again, start warm."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.start", description=__doc__)
    parser.add_argument("--gb", type=float, default=50.0)
    parser.add_argument("--leases", type=int, default=16, help="of associations when it was killed")
    parser.add_argument("--dir", type=Path, help="where to work")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="start-", dir=arguments.dir) as folder:
        if shutil.disk_usage(folder).free < (arguments.gb + _KEEP_FREE_GB) * GB:
            parser.error(f"{arguments.gb:.0f} GB and {_KEEP_FREE_GB} more must be free: try --gb")
        found = measure(Path(folder), gb=arguments.gb, leases=arguments.leases)
    show("Start after a crash", found, arguments.json)


def measure(folder: Path, *, gb: float, leases: int, cold: bool = True) -> list[Figures]:
    """Both starts; the cold one only where it is wanted, and the page cache may be dropped."""
    data_dir, crash = folder / "data", Crash()
    found = []
    with Progress() as progress:
        bar = progress.add_task("start", total=4)
        admitted = _admitted(data_dir)
        progress.advance(bar)
        _crash(data_dir, admitted, crash, leases=leases, more_bytes=round(gb * GB))
        progress.advance(bar)
        if cold and _dropped_caches():
            found.append(_start("cold", data_dir, crash, leases))
            _crash(data_dir, admitted, crash, leases=leases, more_bytes=leases * _BETWEEN_BYTES)
        progress.advance(bar)
        found.append(_start("warm", data_dir, crash, leases))
        progress.advance(bar)
    return found


def _admitted(data_dir: Path) -> list[Admitted]:
    """Examinations of one instance each, taken in and filed by a gateway."""
    kinds = {study: (MR, CT)[study % 2] for study in range(STUDIES)}
    with serving(data_dir) as gateway:
        association = associated(gateway)
        patterns = {kind: pattern_of(kind) for kind in (MR, CT)}
        for study, kind in kinds.items():
            association.store(patterns[kind].request(study, 0))
        association.release()
        gateway.drained()
        gateway.stop()
    sql = "SELECT study_instance_uid, id, key, generation FROM examinations"
    rows = {row[0]: row[1:] for row in query(data_dir, sql)}
    found = []
    for study, kind in kinds.items():
        examination_id, key, generation = rows[study_instance_uid(study)]
        found.append(
            Admitted(
                study=study,
                examination_id=str(examination_id),
                key=str(key),
                generation=int(str(generation)),
                kind=kind,
            )
        )
    return found


def _crash(
    data_dir: Path, admitted: list[Admitted], crash: Crash, *, leases: int, more_bytes: int
) -> None:
    """Further records, and all processes killed at work; on the disk once this returns."""
    directories = spools.directories(data_dir / SPOOL)
    each = len(directories)
    records = fill_and_kill(
        [
            Task(
                directory=directory,
                bytes=more_bytes // each,
                leases=max(1, leases // each),
                # No two records share a UID.
                first_number=1 + crash.records + number * 100_000_000,
                admitted=admitted,
            )
            for number, directory in enumerate(directories)
        ]
    )
    crash.records += records
    crash.bytes += more_bytes
    os.sync()


def _dropped_caches() -> bool:
    try:
        _DROP_CACHES.write_text("3")
    except OSError:
        return False
    return True


def _start(page_cache: str, data_dir: Path, crash: Crash, leases: int) -> Figures:
    """Start the gateway, see when it listens, and kill it before it has filed much."""
    ports = free_port(), free_port()
    names = ("TOLLGATE_DICOM__PORT", "TOLLGATE_HTTP__PORT")
    environment = DEFAULTS | {name: str(port) for name, port in zip(names, ports, strict=True)}
    gateway = RunningGateway(data_dir, environment=environment)
    gateway.http_port = ports[1]
    segments = len(list((data_dir / SPOOL).glob("*/*.segment")))
    probes = [_Probe(lambda: _echoes(ports[0])), _Probe(lambda: _is_ready(gateway))]
    began_s = time.monotonic()
    for probe in probes:
        probe.start()
    with gateway:
        started_s = time.monotonic() - began_s
        for probe in probes:
            probe.join(_LISTENS_S)
        assert gateway.process is not None
        pids = named(gateway.process.pid, "worker-")
        return Figures(
            page_cache=page_cache,
            gb=crash.bytes / GB,
            records=crash.records,
            segments=segments,
            open_leases=leases,
            echo_s=probes[0].yes_s - began_s,
            ready_s=probes[1].yes_s - began_s,
            started_s=started_s,
            records_found=round(gateway.metric("tollgate_spool_records")),
            damages=round(gateway.metric("tollgate_spool_damages")),
            worker_peak_mb=max(map(peak_bytes, pids)) / MB,
        )


class _Probe(threading.Thread):
    """Asks again and again, until the answer is yes."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.yes_s = float("nan")

    def run(self) -> None:
        """For as long as somebody may be waiting."""
        pause, until_s = threading.Event(), time.monotonic() + _LISTENS_S
        while time.monotonic() < until_s:
            with suppress(OSError):
                if self._ask():
                    self.yes_s = time.monotonic()
                    return
            pause.wait(_ASK_AGAIN_S)


def _echoes(port: int) -> bool:
    """Raises OSError where nobody listens."""
    socket.create_connection(("127.0.0.1", port)).close()
    opened = associate(port, sop_class=Verification)
    try:
        return opened.is_established and opened.send_c_echo().Status == 0
    finally:
        end(opened)


def _is_ready(gateway: RunningGateway) -> bool:
    return gateway.readiness()[0] == 200


if __name__ == "__main__":
    main()
