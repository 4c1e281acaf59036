"""`tollgate serve` as a process: how it starts, refuses to start, is watched, and ends."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from gateway.bootstrap import SPOOL
from tests.docker.known_metrics import KNOWN_METRICS
from tests.durability.evidence import check
from tests.durability.faults import commits_held
from tests.durability.scu import (
    OUT_OF_RESOURCES,
    STORED,
    Image,
    associate,
    association,
    end,
    image,
    store,
)
from tests.durability.site import ACCOUNT, command, ready
from tests.harness import RunningGateway, wait_until
from tests.peers import peer

DRAINED_WITHIN_S = 25
CREDITED_WITHIN_S = 5
ADMITTED_WITHIN_S = 2
SENDERS = 4


@pytest.mark.slow
def test_sigterm_under_load_drains_and_loses_nothing(tmp_path: Path) -> None:
    """Exit status 0 within 25 s; whatever was answered with 0x0000 is there at the next start."""
    data_dir = ready(tmp_path / "data")
    acknowledged: list[Image] = []
    enough = threading.Event()

    def send(sender: int) -> None:
        opened = associate(gateway.dicom_port)
        number = 0
        while store(opened, each := image(sender, number)) == STORED:
            acknowledged.append(each)
            number += 1
            if len(acknowledged) >= 10 * SENDERS:
                enough.set()
        end(opened)

    with RunningGateway(data_dir) as gateway:
        senders = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
        for sender in senders:
            sender.start()
        assert enough.wait(60)
        began_s = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began_s < DRAINED_WITHIN_S
        for sender in senders:
            sender.join(60)
        assert gateway.errors == ""
    with RunningGateway(data_dir) as gateway:
        check(data_dir, acknowledged)


@pytest.mark.slow
def test_a_store_in_flight_at_sigterm_is_finished_and_the_probes_tell(tmp_path: Path) -> None:
    """While it drains, /livez is 200, /readyz 503; the answer is still given; then exit 0."""
    data_dir = ready(tmp_path / "data")
    answers: list[int | None] = []
    # So that a segment tells that the store is under way.
    none_ready = {"TOLLGATE_SPOOL__READY_SEGMENTS": "0"}
    with (
        RunningGateway(data_dir, environment=none_ready) as gateway,
        association(gateway.dicom_port) as opened,
    ):
        assert "ready" in gateway.http("/readyz")
        flight = threading.Thread(target=lambda: answers.append(store(opened, image(1))))
        with commits_held(data_dir):
            flight.start()
            wait_until(lambda: any((data_dir / SPOOL).rglob("*.segment")))
            assert gateway.process is not None
            gateway.process.terminate()
            wait_until(lambda: any(line["event"] == "drain_began" for line in gateway.log))
            wait_until(lambda: gateway.readiness()[0] == 503)
            assert "not listening" in gateway.readiness()[1]
            assert "alive" in gateway.http("/livez")
        flight.join(60)
        assert answers == [STORED]
        assert gateway.ended_by_itself() == 0
    with RunningGateway(data_dir) as gateway:
        check(data_dir, [image(1)])


@pytest.mark.slow
def test_a_sender_that_stalls_in_a_store_does_not_keep_the_gateway(tmp_path: Path) -> None:
    """Half an image and then silence at SIGTERM: aborted when the time to drain is over."""
    limit = {"TOLLGATE_SHUTDOWN__DRAIN_TIMEOUT_S": "1"}
    with RunningGateway(ready(tmp_path / "data"), environment=limit) as gateway:
        opened = associate(gateway.dicom_port)
        assert opened.dul.socket is not None
        # P-DATA-TF with one PDV of context 1: a piece of a command that is not the last.
        opened.dul.socket.send(bytes.fromhex("0400 0000000a 00000006 01 01 00000000"))
        began_s = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began_s < 5
        end(opened)
        assert opened.is_aborted


@pytest.mark.slow
def test_a_second_gateway_on_the_same_data_refuses_to_start(tmp_path: Path) -> None:
    """It says what to do, and the first one goes on undisturbed."""
    with RunningGateway(ready(tmp_path / "data")) as gateway:
        second = gateway.run("serve")
        assert second.returncode == 1
        assert "another gateway is running" in second.stderr
        assert "TOLLGATE_DATA_DIR" in second.stderr
        assert "Traceback" not in second.stderr
        with association(gateway.dicom_port) as opened:
            assert store(opened, image(1)) == STORED
        assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("side", ["DICOM", "HTTP"])
def test_a_port_in_use_is_told_with_the_setting_to_change(side: str, tmp_path: Path) -> None:
    """One line that names side, port and setting; exit status 1, no traceback, no lock left."""
    data_dir = ready(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        setting = f"TOLLGATE_{side}__PORT"
        refused = RunningGateway(data_dir, environment={setting: str(port)}).run("serve")
    assert refused.returncode == 1
    assert f"127.0.0.1:{port}" in refused.stderr
    assert setting in refused.stderr
    assert refused.stderr.count("\n") == 1
    with RunningGateway(data_dir) as gateway:
        assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.peer
def test_the_metrics_are_exactly_the_documented_ones(tmp_path: Path) -> None:
    """`promtool check metrics` is content, and no series is exported that nobody documented."""
    with RunningGateway(ready(tmp_path / "data")) as gateway:
        with association(gateway.dicom_port) as opened:
            assert store(opened, image(1)) == STORED
        wait_until(lambda: any(line["event"] == "ledger_verified" for line in gateway.log))
        exported = gateway.http("/metrics")
        checked = subprocess.run(
            [peer("promtool"), "check", "metrics"],
            input=exported,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
        assert names_in(exported) == KNOWN_METRICS
        assert gateway.stop() == 0


def names_in(exported: str) -> set[str]:
    """The names of all series: a family without samples now counts by what it would export."""
    names: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", exported, re.MULTILINE):
        endings = ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)
        names.update(f"{name}{ending}" for ending in endings)
    return names


@pytest.mark.slow
def test_a_top_up_is_credited_and_admitted_by_the_running_gateway(tmp_path: Path) -> None:
    """Credited within 5 s of the payment, admitted within 2 s of that, on an open association."""
    data_dir = tmp_path / "data"
    command(data_dir, "account", "create", ACCOUNT, "--plan", "per-exam", "--agreement", "A-17")
    command(data_dir, "institution", "create", "East", "--account", ACCOUNT)
    command(data_dir, "device", "add", "CT1", "--institution", "East")
    line = ("--account", ACCOUNT, "--exams", "1000", "--order-no", "S1")
    command(data_dir, "order", "place", *line)
    with RunningGateway(data_dir) as gateway, association(gateway.dicom_port) as opened:
        assert store(opened, image(1)) == OUT_OF_RESOURCES
        began_s = time.monotonic()
        paid = json.loads(gateway.tollgate("order", "pay", "S1", "--json"))
        assert paid["state"] == "credited"
        credited_s = time.monotonic()
        assert credited_s - began_s < CREDITED_WITHIN_S
        assert store(opened, image(1)) == STORED
        assert time.monotonic() - credited_s < ADMITTED_WITHIN_S
        wait_until(lambda: any(line["event"] == "order_credited" for line in gateway.log))
        check(data_dir, [image(1)])
        opened.release()
        assert gateway.stop() == 0


@pytest.mark.slow
def test_without_a_gateway_the_command_credits_the_order_itself(tmp_path: Path) -> None:
    """`order pay` is then its own keeper: nothing is left waiting for a start."""
    idle = RunningGateway(ready(tmp_path / "data"))
    idle.tollgate("order", "place", "--account", ACCOUNT, "--exams", "1000", "--order-no", "S2")
    paid = json.loads(idle.tollgate("order", "pay", "S2", "--json"))
    assert paid["state"] == "credited"
    assert idle.json("account", "show", ACCOUNT)["meters"]["exam"]["available"] == 11_000
