"""PostgreSQL stops answering under load: what is admitted goes on, and is filed once it is back."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from gateway.bootstrap import ARCHIVE
from tests.durability.aftermath import digest_of
from tests.durability.figures import record
from tests.durability.scu import STORED, association, image, store
from tests.durability.senders import Promises, Senders
from tests.durability.site import ready
from tests.durability.test_under_load import (
    DRAINED_S,
    GROWTH_BYTES_MAX,
    OUTAGE_S,
    SENDERS,
    further,
    resident_bytes,
)
from tests.harness import RunningGateway, wait_until
from tests.storage.server import Server


def filed(url: str, data_dir: Path) -> dict[str, str]:
    """SHA-256 of the data set of each instance on record, by SOP Instance UID."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT sop_instance_uid, object_key FROM instances").fetchall()
    return {uid: digest_of(data_dir / ARCHIVE / key) for uid, key in rows}


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(1_200)
def test_while_postgresql_stands_still_admitted_examinations_go_on(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Memory stays flat; all is filed within a minute of its return, each charged once."""
    promised = Promises()
    with Server() as server:
        url = server.url("postgres").replace("postgresql+psycopg://", "postgresql://")
        environment = {"TOLLGATE_DATABASE__URL": url}
        data_dir = ready(tmp_path / "data", environment=environment)
        with RunningGateway(data_dir, environment=environment) as gateway:
            first = [image(study) for study in range(SENDERS)]
            with association(gateway.dicom_port) as opened:
                assert [store(opened, each) for each in first] == [STORED] * SENDERS
            senders = Senders(gateway.dicom_port, [further(n) for n in range(SENDERS)])
            senders.start()
            senders.await_answers(100)
            with server.stopped():
                before, sent = resident_bytes(gateway), len(senders.acknowledged)
                threading.Event().wait(OUTAGE_S)
                grown = resident_bytes(gateway) - before
                in_outage = len(senders.acknowledged) - sent
            senders.join()
            promised.add([*first, *senders.acknowledged, *senders.late])
            wait_until(lambda: promised.digest.items() <= filed(url, data_dir).items(), DRAINED_S)
            assert gateway.run("verify").returncode == 0
            used = gateway.json("account", "show", "Lakeside")["meters"]["exam"]["used"]
            assert gateway.stop() == 0
    record(request, outages=1, acknowledged=len(promised.digest), lost=0, doubled=0)
    assert used == SENDERS
    assert senders.refused == [] and in_outage > 5 * OUTAGE_S
    assert grown < GROWTH_BYTES_MAX
