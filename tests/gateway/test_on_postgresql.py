"""The same gateway with its ledger on PostgreSQL: served, watched and asked through the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.test_story import CT, US
from tests.harness import RunningGateway
from tests.storage.server import Server


@pytest.mark.slow
@pytest.mark.peer
def test_a_gateway_keeps_its_ledger_on_postgresql(tmp_path: Path) -> None:
    """Bought, credited by the keeper, stored, charged and verified; no SQLite file beside it."""
    with Server() as server:
        url = server.url("postgres").replace("postgresql+psycopg://", "postgresql://")
        gateway = RunningGateway(tmp_path, environment={"TOLLGATE_DATABASE__URL": url})
        gateway.tollgate("account", "create", "A", "--plan", "per-exam", "--agreement", "7")
        gateway.tollgate("institution", "create", "East", "--account", "A")
        gateway.tollgate("device", "add", "CT1", "--institution", "East")
        gateway.tollgate("order", "place", "--account", "A", "--exams", "1000", "--order-no", "S1")
        with gateway:
            gateway.tollgate("order", "pay", "S1")
            assert gateway.storescu(CT, US).returncode == 0
            assert gateway.storescu(CT).returncode == 0
            meter = gateway.json("account", "show", "A")["meters"]["exam"]
            assert (meter["available"], meter["used"]) == (998, 2)
            assert gateway.metric("tollgate_database_up") == 1
            assert gateway.run("verify").returncode == 0
            assert gateway.stop() == 0
    assert not list(tmp_path.glob("*.sqlite3*"))
