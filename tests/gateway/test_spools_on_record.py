"""The spools of a running gateway are on record, and retire with a clean stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.scu import STORED, association, image, store
from tests.durability.site import ready
from tests.harness import RunningGateway


@pytest.mark.slow
def test_a_running_gateway_serves_its_spools_and_a_stopped_one_leaves_them_idle(
    tmp_path: Path,
) -> None:
    """One for each worker and directory; nothing waits, so nothing holds a reversal back."""
    with RunningGateway(ready(tmp_path / "data")) as gateway:
        with association(gateway.dicom_port) as opened:
            assert store(opened, image(1)) == STORED
        serving = gateway.json("spool", "status")
        assert gateway.stop() == 0
        idle = gateway.json("spool", "status")

    directories = {path.name for path in (tmp_path / "data" / "spool").iterdir()}
    assert {one["id"] for one in serving} == directories
    assert {one["state"] for one in serving} == {"serving"}
    assert {one["state"] for one in idle} == {"idle"}
    assert {one["records"] for one in idle} == {0}
