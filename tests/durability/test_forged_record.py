"""Pixel data that contains a spool record, byte for byte: recovery is not fooled (reliability §3).

The record is taken from the running gateway's own spool, nonce and checksums included, which no
device could know, and lies on a page boundary. The gateway is killed at every write of its store.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.bootstrap import SPOOL
from gateway.dicom import part10
from storage.spool.layout import DATA_OFFSET
from storage.spool.record import PAGE_BYTES
from tests.durability.figures import record
from tests.durability.scu import CT_IMAGE_STORAGE, EXPLICIT_LITTLE, Image, image, of_data_set
from tests.durability.site import ready
from tests.durability.test_kill import APPEND
from tests.durability.victim import Victim

_PIXEL_DATA = b"\xe0\x7f\x10\x00OW\x00\x00"
_PAGES = 3


def real_record(data_dir: Path) -> bytes:
    """The first pages of the first record of the newest segment: header page and body."""
    newest = max((data_dir / SPOOL).glob("*/*.segment"), key=lambda path: path.stat().st_mtime_ns)
    return newest.read_bytes()[DATA_OFFSET : DATA_OFFSET + _PAGES * PAGE_BYTES]


def forged(number: int, forgery: bytes) -> Image:
    """An image whose pixel data holds `forgery`, again and again, each on a page of the segment."""
    data_set = image(1, number).data_set
    before = part10.header(
        sop_class_uid=CT_IMAGE_STORAGE,
        sop_instance_uid=str(data_set.SOPInstanceUID),
        transfer_syntax_uid=EXPLICIT_LITTLE,
    )
    plain = image(1, number).encoded
    begins = len(before) + plain.index(_PIXEL_DATA) + len(_PIXEL_DATA) + 4
    data_set[0x7FE00010].value = bytes(-begins % PAGE_BYTES) + forgery * 4
    found = of_data_set(data_set)
    assert (len(before) + found.encoded.index(forgery)) % PAGE_BYTES == 0
    return found


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(600)
def test_a_record_in_pixel_data_is_never_taken_for_one(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """It is stored like any other image; torn, it is neither found nor reported as damage."""
    data_dir = ready(tmp_path / "data")
    with Victim(data_dir, workers=1) as victim:
        victim.store([image(1)])
        forgery = real_record(data_dir)
        assert image(1).encoded[:64] in forgery
        for call in (APPEND, "fdatasync"):
            victim.kill_at_each(call, 1, lambda number: forged(100 + number, forgery))
            assert victim.gateway.metric("tollgate_spool_damages") == 0
        assert victim.kills >= 4
        victim.send_all_again()
        record(request, **victim.figures)
