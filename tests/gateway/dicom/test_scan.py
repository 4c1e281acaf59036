"""The streaming scan judges as the whole data set is judged, with bounded memory and work."""

from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.header import Identity, identify
from gateway.dicom.scan import Scanner
from gateway.dicom.structure import Malformed, Reason, Uncertain
from tests.gateway.dicom.files import RealFile, real_file, real_files
from tests.gateway.dicom.support import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ct_image,
    encoded,
)

FORGED = [0, 1, 7, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFEE000, 0xE00DFFFE]
SEEDS = tuple(
    real_file(name)
    for name in (
        *("CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "test-SR.dcm"),
        *("UN_sequence.dcm", "nested_priv_SQ.dcm", "rtplan.dcm", "SC_rgb_jpeg.dcm"),
        *("JPEG2000.dcm", "waveform_ecg.dcm", "image_dfl.dcm", "priv_SQ.dcm"),
    )
)


def scanned(
    data: bytes, transfer_syntax_uid: str, cuts: list[int]
) -> Identity | Malformed | Uncertain:
    """Scan `data` in pieces that end at `cuts`."""
    scanner = Scanner(transfer_syntax_uid)
    edges = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    for begin, end in pairwise(edges):
        scanner.feed(memoryview(data)[begin:end])
    return scanner.finish()


def agrees(data: bytes, transfer_syntax_uid: str, cuts: list[int]) -> bool:
    """Whether the scan says what the whole says, or leaves it to the whole."""
    found = scanned(data, transfer_syntax_uid, cuts)
    whole = identify(data, transfer_syntax_uid)
    if isinstance(found, Malformed):
        return isinstance(whole, Malformed)
    return isinstance(found, Uncertain) or found == whole


@pytest.mark.slow
@pytest.mark.parametrize("piece", [1, 7, 1_000, 16_372, 262_144])
def test_every_real_file_is_scanned_as_it_is_walked(piece: int) -> None:
    """Whatever the sizes of the pieces; and nearly all with certainty."""
    uncertain = 0
    for file in real_files():
        if piece < 1_000 < len(file.data_set) // 50:
            continue
        cuts = [*range(piece, len(file.data_set), piece)]
        assert agrees(file.data_set, file.transfer_syntax_uid, cuts), file.path
        found = scanned(file.data_set, file.transfer_syntax_uid, cuts)
        uncertain += isinstance(found, Uncertain)
    assert uncertain < len(real_files()) / 10


@given(
    file=st.sampled_from(SEEDS),
    cuts=st.lists(st.integers(0, 6_000), max_size=12),
    end=st.integers(0, 40_000),
)
def test_a_data_set_cut_anywhere_is_judged_alike(file: RealFile, cuts: list[int], end: int) -> None:
    """Truncated at any offset, in any pieces."""
    assert agrees(file.data_set[:end], file.transfer_syntax_uid, cuts)


@pytest.mark.slow
@given(
    file=st.sampled_from(SEEDS),
    cuts=st.lists(st.integers(0, 6_000), max_size=12),
    forged=st.lists(
        st.tuples(st.integers(0, 4_000), st.sampled_from(FORGED), st.sampled_from([1, 2, 4])),
        min_size=1,
        max_size=3,
    ),
    syntax=st.sampled_from([None, None, None, EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG]),
    tail=st.sampled_from([b"", b"\0", bytes(8), bytes(3_000), bytes(9) + b"x", b"x"]),
)
def test_a_data_set_with_forged_bytes_is_judged_alike(
    file: RealFile,
    cuts: list[int],
    forged: list[tuple[int, int, int]],
    syntax: str | None,
    tail: bytes,
) -> None:
    """Lengths, tags and VRs overwritten anywhere, a wrong syntax, something behind the end."""
    mutated = bytearray(file.data_set)
    for offset, value, width in forged:
        at = offset % max(1, len(mutated) - width)
        mutated[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    assert agrees(bytes(mutated) + tail, syntax or file.transfer_syntax_uid, cuts)


@given(noise=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_noise_is_judged_alike(noise: bytes, cuts: list[int]) -> None:
    """And never raises."""
    for syntax in (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG):
        assert agrees(noise, syntax, cuts)


def test_the_wrong_byte_order_is_certain() -> None:
    """At the first eight bytes, in whatever pieces."""
    data = encoded(ct_image(), EXPLICIT_BIG)
    assert scanned(data, EXPLICIT_LITTLE, [3, 5]) == Malformed(reason=Reason.WRONG_BYTE_ORDER)


@pytest.mark.parametrize("padding", [1, 8, 5_000, 200_000, 1_048_577])
@pytest.mark.parametrize("piece", [5, 4_096, 262_144])
def test_zeros_behind_the_last_element_are_padding_up_to_a_limit(padding: int, piece: int) -> None:
    """As in the whole."""
    data = encoded(ct_image()) + bytes(padding)
    piece = max(piece, len(data) // 2_000)
    assert agrees(data, EXPLICIT_LITTLE, [*range(piece, len(data), piece)])
    assert agrees(data + b"x", EXPLICIT_LITTLE, [*range(piece, len(data), piece)])


@pytest.mark.slow
def test_memory_and_work_do_not_grow_with_the_pixels() -> None:
    """200 MB of them, and a wanted value of a megabyte."""
    head = encoded(ct_image(PatientID=None), IMPLICIT_LITTLE)
    long_value = b"\x10\0\x20\0" + (1_000_000).to_bytes(4, "little") + b"x" * 1_000_000
    pixels = b"\xe0\x7f\x10\0" + (200_000_000).to_bytes(4, "little")
    piece = memoryview(bytes(100_000))
    scanner = Scanner(IMPLICIT_LITTLE)
    tracemalloc.start()
    began_s = time.thread_time()
    scanner.feed(memoryview(head + long_value + pixels))
    for _ in range(2_000):
        scanner.feed(piece)
    found = scanner.finish()
    assert time.thread_time() - began_s < 0.5
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()
    assert isinstance(found, Identity)
    assert found.patient_id_raw == b"x" * 4_096


def test_a_small_instance_costs_a_fraction_of_a_millisecond() -> None:
    """0.15 ms are meant on a quiet machine; this one may be busy."""
    file = real_file("MR_small.dcm")
    costs = []
    for _ in range(50):
        began_s = time.thread_time()
        assert isinstance(scanned(file.data_set, file.transfer_syntax_uid, [4_000]), Identity)
        costs.append(time.thread_time() - began_s)
    assert min(costs) < 0.000_5
