"""A real gateway in a process of its own, driven as a user would: the command, DCMTK, HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.peers import peer

TOLLGATE = Path(sys.executable).parent / "tollgate"
_START_S = 30
_POLL_S = 0.02


def wait_until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait for what tells nobody when it happens: a file, another process's state."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(_POLL_S)  # tidy: sleeps because the file system and /proc send no events


class RunningGateway:
    """`tollgate serve` on free ports, and the other commands on the same data directory."""

    def __init__(
        self,
        data_dir: Path,
        *,
        environment: Mapping[str, str] | None = None,
        wrapper: Iterable[str] = (),
    ) -> None:
        self.data_dir = data_dir
        self._wrapper = list(wrapper)
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TOLLGATE_")},
            "TOLLGATE_DATA_DIR": str(data_dir),
            "TOLLGATE_DICOM__PORT": "0",
            "TOLLGATE_HTTP__PORT": "0",
            "TOLLGATE_LOG__FORMAT": "json",
            "TOLLGATE_ARCHIVE__FREE_BYTES_MIN": "0",
            "TOLLGATE_SPOOL__SEGMENT_BYTES": "1048576",
            "TOLLGATE_SPOOL__ANY_FILE_SYSTEM": "true",
            **(environment or {}),
        }
        self.process: subprocess.Popen[str] | None = None
        self.log: list[dict[str, Any]] = []
        self.errors = ""
        self._ended = False
        self._listening = threading.Event()
        self._reader = threading.Thread()
        self.dicom_port = 0
        self.http_port = 0

    def start(self) -> RunningGateway:
        """Start it and read its log until it listens."""
        self.process = subprocess.Popen(
            [*self._wrapper, str(TOLLGATE), "serve"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        # A log that ended without a port is a gateway that ends, though it may not be gone yet.
        if not self._listening.wait(_START_S) or not self.dicom_port:
            self.kill()
            raise AssertionError(f"the gateway did not start: {self.log} {self.errors}")
        return self

    def _read_log(self) -> None:
        """A pipe that nobody empties would stop the gateway at 64 KiB of log."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == "gateway_started":
                self.dicom_port, self.http_port = self.log[-1]["port"]
                self._listening.set()
        self._listening.set()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        return self.end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the rest of the log is read."""
        assert self.process is not None
        self._ended = True
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        with self.process.stderr as errors:
            self.errors += errors.read()
        self._reader.join(_START_S)
        self.process.stdout.close()
        return self.process.wait(_START_S)

    def ended_by_itself(self) -> int:
        """Wait for the end without a signal; returns the exit status."""
        assert self.process is not None
        status = self.process.wait(_START_S)
        self.kill()
        return status

    def __enter__(self) -> RunningGateway:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and not self._ended:
            self.kill()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any other command on the same data directory."""
        return subprocess.run(
            [*self._wrapper, str(TOLLGATE), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def tollgate(self, *arguments: str) -> str:
        """A command that must succeed; returns what it printed."""
        result = self.run(*arguments)
        assert result.returncode == 0, (arguments, result.stdout, result.stderr)
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """A command's `--json` answer."""
        return json.loads(self.tollgate(*arguments, "--json"))

    def storescu(
        self, *arguments: str | Path, calling: str = "CT1", called: str = "TOLLGATE"
    ) -> subprocess.CompletedProcess[str]:
        """DCMTK's storescu to the gateway, Nagle off; what it stored has been filed after it."""
        sent = self.sent(*arguments, calling=calling, called=called)
        self.drained()
        return sent

    def sent(
        self, *arguments: str | Path, calling: str = "CT1", called: str = "TOLLGATE"
    ) -> subprocess.CompletedProcess[str]:
        """The same, with the answers awaited and nothing else."""
        command = [peer("storescu"), "-aet", calling, "-aec", called, "127.0.0.1"]
        return subprocess.run(
            [*map(str, command), str(self.dicom_port), *map(str, arguments)],
            env={**os.environ, "TCP_NODELAY": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def http(self, path: str) -> str:
        """GET a path of the gateway's HTTP side."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def readiness(self) -> tuple[int, str]:
        """Status and text of /readyz."""
        try:
            return 200, self.http("/readyz")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, sample: str) -> float:
        """One sample of /metrics by its full name with labels; raises KeyError."""
        for line in self.http("/metrics").splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        raise KeyError(sample)

    def drained(self) -> None:
        """Wait until everything that was acknowledged has been filed."""
        wait_until(lambda: self.metric("tollgate_spool_records") == 0)
