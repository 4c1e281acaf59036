"""A gateway that serves with the product's own settings, an account with packages, one device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.benchmarks.peers.receivers import segments_are_ready
from tests.benchmarks.peers.wire import Association
from tests.durability.evidence import query
from tests.durability.site import ready
from tests.harness import RunningGateway, wait_until

CALLING, CALLED = "CT1", "TOLLGATE"
DEFAULTS = {"TOLLGATE_SPOOL__SEGMENT_BYTES": str(64 << 20)}
"""The harness makes segments small for the tests; a figure is of what is shipped."""
_START_S = 60
_NONE: Mapping[str, str] = MappingProxyType({})


@contextmanager
def serving(data_dir: Path, *, environment: Mapping[str, str] = _NONE) -> Iterator[RunningGateway]:
    """A new site in `data_dir`, funded and listening, its first segments written."""
    ready(data_dir, environment=environment)
    with RunningGateway(data_dir, environment={**DEFAULTS, **environment}) as gateway:
        wait_until(lambda: funded(data_dir), _START_S)
        wait_until(lambda: segments_are_ready(data_dir), _START_S)
        yield gateway


def associated(gateway: RunningGateway) -> Association:
    """An association of the device. Raises NotStored where it is rejected."""
    return Association(gateway.dicom_port, called=CALLED, calling=CALLING)


def funded(data_dir: Path) -> bool:
    """Whether the order was credited, which the gateway does within a second."""
    return bool(query(data_dir, "SELECT 1 FROM packages"))
