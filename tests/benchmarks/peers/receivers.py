"""The receivers, each started anew on empty storage, with the settings that are fair to it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType

from gateway.bootstrap import SPOOL
from tests.benchmarks.peers.scenario import Scenario
from tests.benchmarks.peers.senders import CALLING
from tests.harness import TOLLGATE, RunningGateway, wait_until
from tests.peers import peer

_START_S = 60
_READY_SEGMENTS = 2
"""The default of `spool.ready_segments`, for each worker; there is one a core."""
_STOP_S = 60


class Receiver:
    """A receiver on its own folder; `port` once it has started."""

    name = ""
    called = "ANY-SCP"
    floor = False

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.folder = folder
        self.port = 0
        self._scenario = scenario
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The root of its processes."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Listen. Raises AssertionError where it does not in time."""
        self.port = free_port()
        self._run(self._command())
        wait_until(self._listens, _START_S)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
            self._process.kill()
            self._process.wait()

    def arrived(self) -> int:
        """How many instances can be looked up; those that are answered, for most."""
        return sum(1 for path in self.folder.iterdir() if path.is_file())

    def _command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def _run(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._process = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, "TCP_NODELAY": "1", **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended with {self._process.poll()}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


class Tollgate(Receiver):
    """Ours, on SQLite and local files, as `tollgate serve` starts."""

    name = "tollgate"
    called = "TOLLGATE"

    def start(self) -> None:
        """Set up an account with examinations to spend, and serve."""
        self._gateway = RunningGateway(self.folder, environment={"TOLLGATE_LOG__LEVEL": "warning"})
        run = self._gateway.tollgate
        run("account", "create", "B", "--plan", "per-exam", "--agreement", "1", "--timezone", "UTC")
        run("institution", "create", "B", "--account", "B")
        run("device", "add", CALLING, "--institution", "B")
        run("order", "place", "--account", "B", "--exams", "1000000", "--order-no", "1")
        run("order", "pay", "1")
        self.port = free_port()
        environment = {
            "TOLLGATE_DATA_DIR": str(self.folder),
            "TOLLGATE_DICOM__PORT": str(self.port),
            "TOLLGATE_HTTP__PORT": "0",
            "TOLLGATE_LOG__LEVEL": "warning",
        }
        self._run([TOLLGATE, "serve"], environment)
        wait_until(self._listens, _START_S)
        wait_until(self._funded, _START_S)
        # As the floor lays out its file before it counts: a gateway's first minute is no figure.
        wait_until(lambda: segments_are_ready(self.folder), _START_S)

    def arrived(self) -> int:
        """Instances on record: filed."""
        return self._scalar("SELECT count(*) FROM instances")

    def _funded(self) -> bool:
        return self._scalar("SELECT count(*) FROM packages") > 0

    def _scalar(self, statement: str) -> int:
        database = f"file:{self.folder / 'tollgate.sqlite3'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            return int(connection.execute(statement).fetchone()[0])


class DcmtkStorescp(Receiver):
    """DCMTK's storescp with a process an association; it syncs nothing and indexes nothing."""

    name = "storescp --fork"

    def _command(self) -> Sequence[str | Path]:
        return [
            *(peer("storescp"), "--fork", "--max-pdu", "131072"),
            *("--output-directory", self.folder, str(self.port)),
        ]


class Orthanc(Receiver):
    """Debian's Orthanc on SQLite, as configured by default, one thread an association."""

    name = "Orthanc"
    called = "ORTHANC"

    def start(self) -> None:
        """Write its configuration and start it."""
        self._http_port = free_port()
        super().start()

    def arrived(self) -> int:
        """Instances in its index."""
        address = f"http://127.0.0.1:{self._http_port}/statistics"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return int(json.loads(answer.read())["CountInstances"])

    def _command(self) -> Sequence[str | Path]:
        configuration = self.folder / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(self.folder / "storage"),
                    "IndexDirectory": str(self.folder / "index"),
                    "DicomPort": self.port,
                    "HttpPort": self._http_port,
                    "DicomAet": self.called,
                    "DicomCheckCalledAet": False,
                    "DicomThreadsCount": max(4, self._scenario.associations),
                    "MaximumPduLength": 131072,
                    "AuthenticationEnabled": False,
                    "Plugins": [],
                }
            )
        )
        return [peer("Orthanc"), configuration]


class Pynetdicom(Receiver):
    """pynetdicom's own storescp application, run, never imported: CVE-2026-56445."""

    name = "pynetdicom storescp"

    def _command(self) -> Sequence[str | Path]:
        return [
            *(sys.executable, "-m", "pynetdicom", "storescp", "-q", "--max-pdu", "131072"),
            *("-od", self.folder, str(self.port)),
        ]


class Floor(Receiver):
    """See floor.py: no peer, but what the machine allows."""

    name = "bare socket to file"
    floor = True

    def start(self) -> None:
        """Start it and read its port."""
        per_association = self._scenario.instances // self._scenario.associations
        # A GB is enough to recycle; beyond it the disk's cache is what is measured.
        size = min(10**9, per_association * (self._scenario.kind.pixel_bytes + 4096))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.peers.floor", str(self.folder), str(size)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def arrived(self) -> int:
        """Each was answered after its sync, or the sender had failed."""
        return self._scenario.instances


RECEIVERS: Mapping[str, type[Receiver]] = {
    "tollgate": Tollgate,
    "dcmtk": DcmtkStorescp,
    "orthanc": Orthanc,
    "pynetdicom": Pynetdicom,
    "floor": Floor,
}


def segments_are_ready(data_dir: Path) -> bool:
    """Whether a gateway that serves with the default settings has written its first segments."""
    written = sum(map(_is_written, (data_dir / SPOOL).glob("*/*.segment")))
    return written >= _READY_SEGMENTS * len(os.sched_getaffinity(0))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _is_written(segment: Path) -> bool:
    """Whether no block of it is only reserved: to the file system that is a hole."""
    with segment.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return size > 0 and os.lseek(file.fileno(), 0, os.SEEK_HOLE) >= size
