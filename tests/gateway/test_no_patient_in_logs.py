"""Canaries: what is in an image is in no log line, metric, standard error or file name.

Every canary is looked for as it is and in the forms in which a careless program would tell it:
escaped, base64, hexadecimal, in UTF-8, in GB18030. They go in good images and in bad ones.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.faults import Strace, threads
from tests.durability.scu import CT_IMAGE_STORAGE, OUT_OF_RESOURCES, STORED
from tests.durability.site import command, ready
from tests.gateway.dicom.raw import (
    COMMAND_LAST,
    DATA_LAST,
    RawRequestor,
    associate_rq,
    pdv,
    store_command,
)
from tests.harness import RunningGateway

ELEMENTS = {
    **dict.fromkeys((0x00080050, 0x00081010, 0x00102154, 0x00102160, 0x00102180), b"SH"),
    **dict.fromkeys((0x00200010, 0x00400009, 0x00400253, 0x00401001), b"SH"),
    **dict.fromkeys((0x00080080, 0x00081030, 0x0008103E, 0x00081040, 0x00081080), b"LO"),
    **dict.fromkeys((0x00100020, 0x00100021, 0x00101000, 0x00101040, 0x00102110), b"LO"),
    **dict.fromkeys((0x001021F0, 0x00181030, 0x00321060, 0x00380010, 0x00380300), b"LO"),
    **dict.fromkeys((0x00400254, 0x00402016, 0x00111001), b"LO"),
    **dict.fromkeys((0x00080090, 0x00081048, 0x00081050, 0x00081060, 0x00081070), b"PN"),
    **dict.fromkeys((0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00321032), b"PN"),
    **dict.fromkeys((0x00400006, 0x0040A123, 0x40080114), b"PN"),
    **dict.fromkeys((0x00080081, 0x00082111), b"ST"),
    **dict.fromkeys((0x001021B0, 0x00104000, 0x00204000, 0x00324000, 0x00384000), b"LT"),
    # No such values are allowed by their VR: pydicom complains, and quotes them.
    **dict.fromkeys((0x00080020, 0x00080021, 0x00100030), b"DA"),
    **dict.fromkeys((0x00080030, 0x00080031), b"TM"),
    **dict.fromkeys((0x00101020, 0x00101030), b"DS"),
    **dict.fromkeys((0x00200011, 0x00200013), b"IS"),
    **dict.fromkeys((0x00200052, 0x00880140), b"UI"),
    0x00101010: b"AS",
    0x00180015: b"CS",
}
"""Names, numbers, addresses, descriptions, comments, a private one: tag and VR."""
CHINESE = "张伟王芳李娜刘洋陈静杨磊赵敏黄强周涛吴霞徐明孙丽胡军朱琳高峰林娟何勇郭燕马超罗兰"
CHARACTER_SETS = {"ISO_IR 192": "utf-8", "GB18030": "gb18030", "ISO_IR 100": "gb18030"}
CANARIES_MIN = 300


def canary(number: int, tag: int) -> str:
    """A text that is found nowhere else, with Chinese in it."""
    name = CHINESE[number % len(CHINESE)] + CHINESE[(tag + number) % len(CHINESE)]
    return f"Kanari{number:03d}q{tag:08x}{name}{name}"


def forms(text: str) -> Iterator[str]:
    """How a canary might be told."""
    yield text
    yield ascii(text)[1:-1]
    yield json.dumps(text)[1:-1]
    for encoding in ("utf-8", "gb18030"):
        raw = text.encode(encoding)
        yield raw.hex()
        yield raw.hex(" ")
        yield raw.decode("latin-1")
        yield repr(raw)[2:-1]
        # Within a longer text base64 depends on what stands before: all three alignments.
        for before in range(3):
            yield base64.b64encode(b"x" * before + raw).decode()[4:-4]


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element in explicit little endian with a short length (PS3.5 7.1.2)."""
    padded = value + b" " * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(padded)) + padded


def image(number: int, character_set: str = "ISO_IR 192", **uids: str) -> bytes:
    """A data set of canaries under UIDs of the image's own, or other UIDs."""
    encoding = CHARACTER_SETS[character_set]
    values = {tag: canary(number, tag).encode(encoding) for tag in ELEMENTS}
    known = {"sop_class": CT_IMAGE_STORAGE, "sop": f"1.2.9.{number}", "study": f"1.2.8.{number}"}
    texts = {**known, **uids}
    fixed = {
        0x00080005: (b"CS", character_set),
        0x00080016: (b"UI", texts["sop_class"]),
        0x00080018: (b"UI", texts["sop"]),
        0x0020000D: (b"UI", texts["study"]),
        0x00110010: (b"LO", "CANARY CAGE"),
    }
    elements = {tag: (ELEMENTS[tag], value) for tag, value in values.items()}
    elements |= {tag: (vr, text.encode()) for tag, (vr, text) in fixed.items()}
    return b"".join(element(tag, *elements[tag]) for tag in sorted(elements))


def nested(number: int, depth: int) -> bytes:
    """Sequences within sequences, a canary at every level."""
    inner = b""
    for _ in range(depth):
        item = element(0x00100010, b"PN", canary(number, 0x00100010).encode()) + inner
        head = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, len(item) + 8)
        inner = head + struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
    return inner


def bad_images() -> Iterator[tuple[dict[str, str], bytes]]:
    """What is sent and fails: what the command says otherwise than usual, and the data set."""
    whole = [image(number) for number in range(100, 110)]
    yield {"sop_instance": "1.2.9.100"}, whole[0][:-7]
    yield {"sop_instance": "1.2.9.101"}, whole[1][: len(whole[1]) // 2]
    yield {"sop_instance": "1.2.9.102"}, whole[2] + b"\x10\x40\x01\x00PN\xff\x7f" + whole[3][-9:]
    yield {"sop_instance": canary(104, 1)[:64]}, whole[4]
    yield {"sop_instance": "1.2.3.9999"}, whole[5]
    yield {"sop_instance": canary(106, 2)[:18]}, image(106, sop=canary(106, 2)[:18])
    yield {"sop_instance": "1.2.9.107"}, image(107, study=canary(107, 3))
    yield {"sop_instance": "1.2.9.108"}, whole[8] + nested(108, 40)
    yield {"sop_instance": "1.2.9.109"}, whole[9][::-1]


def send(requestor: RawRequestor, data_set: bytes, sop_instance: str) -> int:
    """Store one data set; returns the status."""
    command_set = store_command(sop_instance=sop_instance.encode())
    requestor.send(pdv(COMMAND_LAST, command_set), pdv(DATA_LAST, data_set))
    return requestor.status()


def send_everything(gateway: RunningGateway, folder: Path) -> int:
    """Good, bad, refused, set aside and failing ones; returns how many images went out."""
    good = list(enumerate(CHARACTER_SETS))
    with RawRequestor(gateway.dicom_port) as requestor:
        requestor.associate()
        for number, character_set in good:
            sop_instance = f"1.2.9.{number}"
            assert send(requestor, image(number, character_set), sop_instance) == STORED
        assert send(requestor, image(50, sop="1.2.9.0", study="1.2.8.0"), "1.2.9.0") == STORED
        bad = [send(requestor, data_set, **changes) for changes, data_set in bad_images()]
        assert STORED not in bad
        assert len({*bad}) >= 3, bad
    with RawRequestor(gateway.dicom_port) as requestor:
        requestor.send(associate_rq(calling=b"POOR"))
        assert requestor.receive() is not None
        assert send(requestor, image(60), "1.2.9.60") == OUT_OF_RESOURCES
        requestor.send(pdv(COMMAND_LAST, canary(61, 0).encode() * 3))
        assert requestor.receive() is not None
    before = threads(gateway)
    with RawRequestor(gateway.dicom_port) as requestor:
        requestor.associate()
        serving = threads(gateway) - before
        failing = Strace(serving, folder / "trace", "-e", "inject=pwritev2:error=ENOSPC")
        assert send(requestor, image(70), "1.2.9.70") == OUT_OF_RESOURCES
        failing.detach()
    return len(good) + 1 + len(bad) + 3


@pytest.mark.slow
@pytest.mark.peer
def test_no_canary_leaves_the_archive_and_the_database(tmp_path: Path) -> None:
    """Level debug, and all of what can go wrong with a store: 0 canaries in what is told."""
    data_dir = ready(tmp_path / "data")
    command(data_dir, "account", "create", "Poor", "--plan", "per-exam", "--agreement", "A-18")
    command(data_dir, "institution", "create", "West", "--account", "Poor")
    command(data_dir, "device", "add", "POOR", "--institution", "West")
    debug = {"TOLLGATE_LOG__LEVEL": "debug"}
    with RunningGateway(data_dir, environment=debug) as gateway:
        assert send_everything(gateway, tmp_path) * len(ELEMENTS) >= CANARIES_MIN
        gateway.drained()
        told = gateway.http("/metrics")
        assert gateway.stop() == 0
    told += "".join(f"{line}\n{json.dumps(line, ensure_ascii=False)}\n" for line in gateway.log)
    told += gateway.errors + "\n".join(str(path) for path in data_dir.rglob("*"))
    assert {"store_rejected", "store_failed", "store_refused", "instance_set_aside"} <= {
        line["event"] for line in gateway.log
    }
    told = told.lower()
    assert "kanari" not in told
    found = {
        canary(number, tag)
        for number in (*range(3), 50, 60, 61, 70, *range(100, 110))
        for tag in (0, 1, 2, 3, *ELEMENTS)
        if any(form.lower() in told for form in forms(canary(number, tag)))
    }
    assert found == set()
