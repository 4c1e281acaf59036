"""The main job, end to end: only the installed command, DCMTK and HTTP, with real files.

Paid, used up, in arrears, refused after 24 hours, topped up, flowing again. After every step the
command line, the register, the metrics and `verify` must tell the same.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.harness import RunningGateway
from tests.peers import peer
from tests.shifted_clock import shifted_clock

ACCOUNT = "City Hospital 市立医院"
EAST = "East Campus"


def real_file(name: str) -> Path:
    """A file of the published test set."""
    spec = find_spec("data_store")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data" / name


CT = real_file("693_UNCR.dcm")
MR = real_file("MR-SIEMENS-DICOM-WithOverlays.dcm")
US = real_file("US1_UNCR.dcm")
CR = real_file("RG3_UNCR.dcm")
NEW_CT = real_file("eCT_Supplemental.dcm")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway with an account that has bought nothing, an institution and a CT."""
    gateway = RunningGateway(tmp_path / "data")
    gateway.tollgate("account", "create", ACCOUNT, "--plan", "per-exam", "--agreement", "2026-1")
    gateway.tollgate("institution", "create", EAST, "--account", ACCOUNT)
    gateway.tollgate("device", "add", "CT1", "--institution", EAST)
    with gateway:
        yield gateway


def buy(gateway: RunningGateway, number: str, exams: int = 1000) -> None:
    """Place and pay an order; `order pay` returns when the gateway has credited it."""
    gateway.tollgate(
        "order", "place", "--account", ACCOUNT, "--exams", str(exams), "--order-no", number
    )
    gateway.tollgate("order", "pay", number)
    orders = {order["number"]: order["state"] for order in gateway.json("order", "list")}
    assert orders[number] == "credited"


def send_new(gateway: RunningGateway, count: int) -> subprocess.CompletedProcess[str]:
    """DCMTK sends `count` examinations of one instance each, made from a real CT image."""
    return gateway.storescu("--repeat", str(count), "+IR", "1", "+IS", "1", "-nh", "-v", CT)


def meter(gateway: RunningGateway) -> dict[str, Any]:
    """What `account show --json` says of the meter."""
    shown: dict[str, Any] = gateway.json("account", "show", ACCOUNT)["meters"]["exam"]
    return shown


def agree(
    gateway: RunningGateway, *, status: str, available: int, used: int, owed: int, refusals: int = 0
) -> None:
    """Every view of the account tells the same, and the ledger is whole."""
    shown = meter(gateway)
    assert (shown["status"], shown["available"], shown["used"], shown["owed"]) == (
        status,
        available,
        used,
        owed,
    )
    labels = f'account="{ACCOUNT}",meter="exam"'
    for name, value in (("available", available), ("used", used), ("owed", owed)):
        assert gateway.metric(f"tollgate_quota_{name}{{{labels}}}") == value
    assert gateway.metric(f'tollgate_quota_status{{{labels},status="{status}"}}') == 1
    charges = [exam["charge"] for exam in gateway.json("exam", "list", "--limit", "100000")]
    assert (charges.count("funded"), charges.count("owed")) == (used, owed)
    entries = [e for e in gateway.json("refusal", "list") if e["resolved_at"] is None]
    assert len(entries) == refusals
    assert gateway.metric("tollgate_refused_examinations_open") == refusals
    assert gateway.run("verify").returncode == 0


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(300)
def test_a_hospital_pays_runs_out_is_refused_tops_up_and_goes_on(gateway: RunningGateway) -> None:
    """The whole life of an account, with the 24 hours passed by a restart under faketime."""
    # Nothing was bought: refused, without a grace, and registered.
    refused = gateway.storescu(CT)
    assert refused.returncode == 0xA7
    agree(gateway, status="unprovisioned", available=0, used=0, owed=0, refusals=1)

    buy(gateway, "SO-1")
    assert gateway.storescu(CT, MR, US).returncode == 0
    agree(gateway, status="ok", available=997, used=3, owed=0)
    # The same again costs nothing.
    assert gateway.storescu(CT, MR, US).returncode == 0
    agree(gateway, status="ok", available=997, used=3, owed=0)

    assert send_new(gateway, 997).returncode == 0
    agree(gateway, status="empty", available=0, used=1000, owed=0)
    assert send_new(gateway, 2).returncode == 0
    agree(gateway, status="arrears", available=0, used=1000, owed=2)
    deadline = meter(gateway)["deadline"]
    assert gateway.stop() == 0

    later = RunningGateway(gateway.data_dir, environment=shifted_clock("+24h"))
    with later:
        assert meter(later)["deadline"] == deadline
        refused = later.storescu("-nh", "-v", CR, NEW_CT)
        assert refused.stderr.count("Received Store Response (Refused: OutOfResources)") == 2
        agree(later, status="suspended", available=0, used=1000, owed=2, refusals=2)
        entry = later.json("refusal", "list")[0]
        assert (entry["reason"], entry["refused"], entry["missing"]) == ("grace_over", 1, 1)
        # What is uploaded stays and grows: another instance of a known examination passes.
        second = later.data_dir / "second.dcm"
        subprocess.run([peer("dcmconv"), CT, second], check=True)
        subprocess.run([peer("dcmodify"), "-nb", "-gin", second], check=True, capture_output=True)
        assert later.storescu(second).returncode == 0
        agree(later, status="suspended", available=0, used=1000, owed=2, refusals=2)

        # A top-up pays the arrears off first, and uploads resume by themselves.
        buy(later, "SO-2")
        agree(later, status="ok", available=998, used=1002, owed=0, refusals=2)
        assert later.storescu(CR, NEW_CT).returncode == 0
        agree(later, status="ok", available=996, used=1004, owed=0, refusals=0)
        assert later.stop() == 0
