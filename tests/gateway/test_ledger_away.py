"""A running gateway whose PostgreSQL stands still: uploads go on, and are charged once after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.test_story import CR, CT, MR, US
from tests.harness import RunningGateway, wait_until
from tests.storage.server import Server


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(240)
def test_new_examinations_enter_while_postgresql_stands_still(tmp_path: Path) -> None:
    """Under way, new, suspended-from-the-start; after its return each is charged once.

    A gateway that is started meanwhile knows from its snapshot whom to let in.
    """
    with Server() as server:
        url = server.url("postgres").replace("postgresql+psycopg://", "postgresql://")
        environment = {"TOLLGATE_DATABASE__URL": url, "TOLLGATE_DICOM__WORKERS": "1"}
        gateway = RunningGateway(
            tmp_path,
            environment=environment,
        )
        for name, title in (("A", "CT1"), ("B", "CT2")):
            gateway.tollgate("account", "create", name, "--plan", "per-exam", "--agreement", name)
            gateway.tollgate("institution", "create", f"I-{name}", "--account", name)
            gateway.tollgate("device", "add", title, "--institution", f"I-{name}")
        gateway.tollgate("order", "place", "--account", "A", "--exams", "1000", "--order-no", "S1")
        gateway.tollgate("order", "pay", "S1")
        with gateway:
            assert gateway.storescu(CT).returncode == 0
            looked_at = (tmp_path / "snapshot.json").stat().st_mtime_ns
            wait_until(lambda: (tmp_path / "snapshot.json").stat().st_mtime_ns > looked_at)
            with server.stopped():
                assert gateway.sent(CT).returncode == 0
                assert gateway.sent(US).returncode == 0
                assert gateway.sent(MR).returncode == 0
                assert gateway.sent(US, calling="CT2").returncode != 0
                assert gateway.metric("tollgate_examinations_provisional_total") == 2
                assert gateway.metric("tollgate_database_up") == 0
                assert gateway.stop() == 0
                gateway = RunningGateway(tmp_path, environment=environment).start()
                assert gateway.readiness()[0] == 200
                assert gateway.sent(CR).returncode == 0
            gateway.drained()
            meters = gateway.json("account", "show", "A")["meters"]["exam"]
            assert (meters["available"], meters["used"]) == (996, 4)
            assert gateway.json("account", "show", "B")["meters"]["exam"]["used"] == 0
            assert gateway.run("verify").returncode == 0
            assert gateway.stop() == 0
