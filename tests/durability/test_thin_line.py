"""An archive behind 50 Mbit/s: the line is used, and the devices do not notice."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.durability.figures import record
from tests.durability.scu import OUT_OF_RESOURCES, STORED, association, image, store
from tests.durability.site import ready
from tests.durability.throttle import ThinLine
from tests.harness import RunningGateway
from tests.storage.bucket import Buckets

LINE_BYTES_PER_S = 50e6 / 8
_IMAGE_BYTES = 500_000
_IMAGES = 30
_SPOOL_BYTES = 4 << 20


def archive_behind(line: ThinLine, buckets: Buckets) -> dict[str, str]:
    """Settings of a gateway with a new bucket."""
    access = buckets.new()
    return {
        "TOLLGATE_ARCHIVE__URL": access.url,
        "TOLLGATE_ARCHIVE__ENDPOINT": line.endpoint,
        "TOLLGATE_ARCHIVE__REGION": access.region,
        "TOLLGATE_ARCHIVE__ACCESS_KEY_ID": access.access_key_id,
        "TOLLGATE_ARCHIVE__SECRET_ACCESS_KEY": access.secret_access_key,
        "TOLLGATE_DICOM__WORKERS": "1",
    }


def thin_line(buckets: Buckets) -> ThinLine:
    """In front of the store."""
    address = urlsplit(buckets.endpoint)
    assert address.hostname and address.port
    return ThinLine(address.hostname, address.port, bytes_per_s=LINE_BYTES_PER_S)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thin_line_is_used_and_not_felt(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Images come in while it carries nothing; then at least 90 % of it is used until they are
    filed."""
    with Buckets() as buckets, thin_line(buckets) as line:
        environment = archive_behind(line, buckets)
        with RunningGateway(ready(tmp_path / "data"), environment=environment) as gateway:
            line.up.clear()
            with association(gateway.dicom_port) as opened:
                for number in range(_IMAGES):
                    each = image(number // 10, number, size_bytes=2 * _IMAGE_BYTES)
                    assert store(opened, each) == STORED
            assert line.bytes_carried == 0
            line.up.set()
            gateway.drained()
            carried, share_used = line.bytes_carried, line.share_used
            assert gateway.run("verify").returncode == 0
            assert gateway.stop() == 0
    record(request, line_used_percent=round(100 * share_used))
    assert carried > _IMAGES * 2 * _IMAGE_BYTES
    assert share_used > 0.9


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_spool_behind_a_thin_line_refuses_and_takes_in_again(tmp_path: Path) -> None:
    """At its limit a store is answered 0xA700 and costs nothing; once there is room, 0x0000."""
    with Buckets() as buckets, thin_line(buckets) as line:
        environment = archive_behind(line, buckets)
        environment["TOLLGATE_SPOOL__FILL_MAX_BYTES"] = str(_SPOOL_BYTES)
        with RunningGateway(ready(tmp_path / "data"), environment=environment) as gateway:
            answers: list[int | None] = []
            with association(gateway.dicom_port) as opened:
                while OUT_OF_RESOURCES not in answers:
                    each = image(1, len(answers) + 1, size_bytes=_IMAGE_BYTES)
                    answers.append(store(opened, each))
                gateway.drained()
                refused = image(1, len(answers), size_bytes=_IMAGE_BYTES)
                assert store(opened, refused) == STORED
            gateway.drained()
            assert gateway.json("account", "show", "Lakeside")["meters"]["exam"]["used"] == 1
            assert gateway.run("verify").returncode == 0
    assert set(answers) == {STORED, OUT_OF_RESOURCES}
    assert len(answers) * _IMAGE_BYTES > _SPOOL_BYTES // 2
