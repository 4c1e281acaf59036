"""The Dockerfile: what a build cannot show here is held by lint and by reading it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.docker.files import DOCKER, instructions, services
from tests.peers import peer


@pytest.mark.peer
def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    """No finding of any level, and no rule switched off."""
    found = subprocess.run(
        (peer("hadolint"), "--no-color", "Dockerfile"),
        cwd=DOCKER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "")
    assert "hadolint ignore" not in (DOCKER / "Dockerfile").read_text(encoding="utf-8")


def test_the_image_runs_as_a_fixed_user_that_is_not_root() -> None:
    """A number, so that volumes keep their owner and orchestrators can check it."""
    assert instructions("USER") == ["10001:10001"]
    assert services()["gateway"]["user"] == "10001:10001"


def test_the_image_starts_and_stops_the_gateway_and_nothing_else() -> None:
    """``docker run image account list`` works as the command does; stopping is SIGTERM."""
    assert instructions("ENTRYPOINT") == ['["tollgate"]']
    assert instructions("CMD")[-1:] == ['["serve"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("EXPOSE") == ["11112 8080"]


def test_data_lies_in_the_volume_and_the_gateway_listens_to_the_outside() -> None:
    """Settings by environment, where the compose file mounts the volume."""
    environment = dict(
        pair.split("=", 1) for line in instructions("ENV") for pair in line.split() if "=" in pair
    )
    assert environment["TOLLGATE_DATA_DIR"] == "/var/lib/tollgate"
    assert environment["TOLLGATE_DICOM__HOST"] == environment["TOLLGATE_HTTP__HOST"] == "0.0.0.0"
    assert instructions("VOLUME") == ['["/var/lib/tollgate"]']
    assert "data:/var/lib/tollgate" in services()["gateway"]["volumes"]


def test_both_stages_start_from_the_same_pinned_image() -> None:
    """A virtual environment works only with the interpreter that made it."""
    (pinned,) = [line for line in instructions("ARG") if line.startswith("PYTHON_IMAGE=")]
    assert pinned == "PYTHON_IMAGE=python:3.11.15-slim-bookworm"
    assert instructions("FROM") == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]


def test_only_what_is_built_reaches_the_build() -> None:
    """The ignore file is an allow-list, and allows exactly what the Dockerfile copies."""
    lines = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {line[1:].rstrip("/") for line in rules if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for line in instructions("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    }
    assert allowed == copied


@pytest.mark.slow
@pytest.mark.parametrize("status, healthy", [(200, True), (503, False), (404, False)])
def test_the_health_check_believes_the_status_of_livez(status: int, *, healthy: bool) -> None:
    """The command of HEALTHCHECK, against a server; a proxy in the environment is not asked."""
    with _server_that_answers(status) as port:
        assert (_health_check(port) == 0) is healthy


@pytest.mark.slow
def test_the_health_check_fails_where_nobody_listens() -> None:
    """A gateway that is gone is not healthy."""
    with _server_that_answers(200) as port:
        pass
    assert _health_check(port) != 0


def _health_check(port: int) -> int:
    (line,) = instructions("HEALTHCHECK")
    _, *arguments = json.loads(line.partition("CMD ")[2])
    assert arguments[-1].count("8080") == 1
    arguments[-1] = arguments[-1].replace("8080", str(port))
    environment = {**os.environ, "http_proxy": "http://192.0.2.1:9"}
    return subprocess.run(
        (sys.executable, *arguments), env=environment, capture_output=True, check=False
    ).returncode


@contextmanager
def _server_that_answers(status: int) -> Iterator[int]:
    class Livez(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing: the test's output is pytest's."""

    with HTTPServer(("127.0.0.1", 0), Livez) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
