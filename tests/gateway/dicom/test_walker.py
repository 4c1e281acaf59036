"""The structural walk: what is whole, what is not, and what it does not dare to say."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gateway.dicom.encoding import Encoding, encoding_of
from gateway.dicom.header import Identity, identify
from gateway.dicom.structure import (
    DEPTH_MAX,
    ELEMENTS_MAX,
    VALUE_BYTES_MAX,
    Malformed,
    Outcome,
    Path,
    Reason,
    Uncertain,
    Walked,
)
from gateway.dicom.walker import walk
from tests.gateway.dicom.files import RealFile, real_file, real_files
from tests.gateway.dicom.support import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ct_image,
    encoded,
)

CPU_S_MAX = 2.0
PATIENT_ID = (0x00100020,)
WANTED: frozenset[Path] = frozenset((PATIENT_ID, (0x00080051, 0x00400031)))
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
# pydicom ships these as examples of damage.
DAMAGED = {
    "emri_small_jpeg_2k_lossless_too_short.dcm": Reason.TRUNCATED,
    "MR_truncated.dcm": Reason.LENGTH_BEYOND_END,
    "rtplan_truncated.dcm": Reason.LENGTH_BEYOND_END,
}


def walked(data: bytes, encoding: Encoding = Encoding.EXPLICIT_LITTLE) -> Outcome:
    """Walk `data`."""
    return walk(memoryview(data), encoding, WANTED)


def long(tag: tuple[int, int], vr: bytes, length: int, value: bytes = b"") -> bytes:
    """An explicit little endian element with a 32-bit length, which need not be the value's."""
    return struct.pack("<HH2sHL", *tag, vr, 0, length) + value


def short(tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
    """An explicit little endian element with a 16-bit length."""
    return struct.pack("<HH2sH", *tag, vr, len(value)) + value


def item(tag: tuple[int, int] = ITEM, length: int = UNDEFINED) -> bytes:
    """The header of an item, or a delimiter."""
    return struct.pack("<HHL", *tag, length)


def cpu_s_of(data: bytes, transfer_syntax_uid: str) -> float:
    """Processor time that identifying `data` takes, in seconds."""
    began = time.thread_time()
    assert isinstance(identify(data, transfer_syntax_uid), Identity | Malformed)
    return time.thread_time() - began


@pytest.mark.slow
def test_every_real_file_that_is_whole_is_walked_to_its_end() -> None:
    """No file of pydicom's collections is rejected but those that are damaged by design."""
    found = {}
    for file in real_files():
        outcome = identify(file.data_set, file.transfer_syntax_uid)
        if isinstance(outcome, Malformed):
            found[file.path.name] = outcome.reason
    assert found == DAMAGED
    assert len(real_files()) > 150


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG])
def test_wanted_elements_are_found_in_every_encoding(syntax: str) -> None:
    """Top-level values, and those in a wanted sequence's first item, come out as raw bytes."""
    issuers = Sequence([Dataset(), Dataset()])
    issuers[0].LocalNamespaceEntityID = "FIRST "
    issuers[1].LocalNamespaceEntityID = "SECOND"
    image = ct_image(IssuerOfAccessionNumberSequence=issuers)

    outcome = walked(encoded(image, syntax), encoding_of(syntax))

    assert outcome == Walked(elements={PATIENT_ID: b"P1", (0x00080051, 0x00400031): b"FIRST "})


def test_an_unknown_sequence_is_implicit_little_endian_inside() -> None:
    """UN of undefined length is walked as PS3.5 6.2.2 says."""
    inner = struct.pack("<HHL", 0x0009, 0x1001, 4) + b"abcd"
    unknown = long((0x0009, 0x1000), b"UN", UNDEFINED) + item() + inner
    unknown += item(ITEM_END, 0) + item(SEQUENCE_END, 0)

    assert walked(unknown + short((0x0010, 0x0020), b"LO", b"P1")) == Walked(
        elements={PATIENT_ID: b"P1"}
    )


def test_encapsulated_fragments_are_skipped_by_length() -> None:
    """Whatever fragments contain, delimiters too, is not looked at."""
    hostile = item(SEQUENCE_END, 0) * 2
    pixels = long((0x7FE0, 0x0010), b"OB", UNDEFINED) + item(length=0)
    pixels += item(length=len(hostile)) + hostile + item(SEQUENCE_END, 0)

    assert walked(pixels) == Walked(elements={})


@pytest.mark.parametrize("padding", [b"", b"\0", bytes(7), bytes(8), bytes(1000)])
def test_zeros_after_the_last_element_are_padding(padding: bytes) -> None:
    """Some devices fill up to a block's end."""
    data = short((0x0010, 0x0020), b"LO", b"P1")
    assert walked(data + padding) == Walked(elements={PATIENT_ID: b"P1"})


def test_data_set_trailing_padding_is_an_element_like_any_other() -> None:
    """(FFFC,FFFC) is skipped by its length (PS3.10 7.2)."""
    assert walked(long((0xFFFC, 0xFFFC), b"OB", 10, bytes(10))) == Walked(elements={})


def test_elements_out_of_order_are_taken_and_the_last_one_counts() -> None:
    """Devices send them; pydicom and DCMTK take the last of two."""
    data = short((0x0010, 0x0020), b"LO", b"P1") + short((0x0008, 0x0060), b"CS", b"CT")
    assert walked(data + short((0x0010, 0x0020), b"LO", b"P2")) == Walked(
        elements={PATIENT_ID: b"P2"}
    )


def test_a_wanted_value_of_absurd_length_is_kept_in_part() -> None:
    """A patient id of megabytes costs four kilobytes."""
    data = struct.pack("<HHL", 0x0010, 0x0020, 1_000_000) + b"x" * 1_000_000
    outcome = walked(data, Encoding.IMPLICIT_LITTLE)
    assert outcome == Walked(elements={PATIENT_ID: b"x" * VALUE_BYTES_MAX})


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"\x08\0\x60\0CS", Reason.TRUNCATED),
        (b"\x08\0\x60\0SQ\0\0\x08", Reason.TRUNCATED),
        (short((0x0008, 0x0060), b"CS", b"CT")[:-1], Reason.LENGTH_BEYOND_END),
        (long((0x7FE0, 0x0010), b"OW", 0xFFFFFFFE), Reason.LENGTH_BEYOND_END),
        (long((0x0008, 0x1140), b"SQ", 9, bytes(8)), Reason.LENGTH_BEYOND_END),
        (long((0x0008, 0x1140), b"SQ", UNDEFINED), Reason.TRUNCATED),
        (long((0x0008, 0x1140), b"SQ", UNDEFINED) + item(), Reason.TRUNCATED),
        (
            long((0x0008, 0x1140), b"SQ", UNDEFINED) + item(length=9) + bytes(8),
            Reason.LENGTH_BEYOND_END,
        ),
        (long((0x7FE0, 0x0010), b"OB", UNDEFINED) + item(length=0), Reason.TRUNCATED),
        (
            long((0x7FE0, 0x0010), b"OB", UNDEFINED) + item(length=9) + bytes(8),
            Reason.LENGTH_BEYOND_END,
        ),
    ],
)
def test_what_ends_too_early_is_malformed(data: bytes, reason: Reason) -> None:
    """Every length is held against the end of the data set."""
    assert walked(data) == Malformed(reason=reason)


@pytest.mark.parametrize("sent", [EXPLICIT_LITTLE, EXPLICIT_BIG])
def test_the_wrong_byte_order_is_recognised_at_the_first_element(sent: str) -> None:
    """Group 0800 does not exist: it is 0008, swapped."""
    data = encoded(ct_image(), sent)
    other = {EXPLICIT_LITTLE: Encoding.EXPLICIT_BIG, EXPLICIT_BIG: Encoding.EXPLICIT_LITTLE}[sent]
    assert walked(data, other) == Malformed(reason=Reason.WRONG_BYTE_ORDER)


def nested(depth: int) -> bytes:
    """A sequence of undefined length in a sequence in a sequence ..."""
    ends = item(ITEM_END, 0) + item(SEQUENCE_END, 0)
    return (long((0x0008, 0x1140), b"SQ", UNDEFINED) + item()) * depth + ends * depth


def test_sequences_may_be_nested_to_a_bounded_depth() -> None:
    """32 levels are walked, one more is too deep."""
    assert walked(nested(DEPTH_MAX)) == Walked(elements={})
    assert walked(nested(DEPTH_MAX + 1)) == Malformed(reason=Reason.TOO_DEEP)


@pytest.mark.parametrize(
    "data, cpu_syntax",
    [
        (short((0x0008, 0x0060), b"CS", b"") * (ELEMENTS_MAX + 1), EXPLICIT_LITTLE),
        (
            long((0x0008, 0x1140), b"SQ", UNDEFINED)
            + item(length=0) * (ELEMENTS_MAX + 1)
            + item(SEQUENCE_END, 0),
            EXPLICIT_LITTLE,
        ),
        (
            long((0x0008, 0x1140), b"SQ", UNDEFINED)
            # With the sequence itself that is one too many.
            + (item() + short((0x0008, 0x1150), b"UI", b"") * 100 + item(ITEM_END, 0))
            * (ELEMENTS_MAX // 100)
            + item(SEQUENCE_END, 0),
            EXPLICIT_LITTLE,
        ),
    ],
    ids=["elements", "items", "elements_of_many_items"],
)
@pytest.mark.slow
def test_more_elements_than_any_object_has_are_too_many(data: bytes, cpu_syntax: str) -> None:
    """The count is bounded, and with it the time."""
    assert walked(data) == Malformed(reason=Reason.TOO_MANY_ELEMENTS)
    assert cpu_s_of(data, cpu_syntax) < CPU_S_MAX


@pytest.mark.parametrize(
    "data",
    [
        short((0x0008, 0x0060), b"??", b"CT"),
        short((0x0008, 0x0060), b"ZZ", b"CT"),
        long((0x0008, 0x0060), b"UT", UNDEFINED),
        item(ITEM_END, 0),
        short((0x0010, 0x0020), b"LO", b"P1") + bytes(8) + b"x",
        long((0x0008, 0x1140), b"SQ", 8, b"notitems") + short((0x0010, 0x0020), b"LO", b"P1"),
    ],
)
def test_what_could_be_read_in_two_ways_is_left_to_pydicom(data: bytes) -> None:
    """The walker says that it does not know, and does not guess."""
    assert isinstance(walked(data), Uncertain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        # Odd at once, so that pydicom reads all of it.
        short((0x0008, 0x0060), b"??", b"") + short((0x0008, 0x0060), b"CS", b"") * 2_000_000,
        short((0x0008, 0x0060), b"??", b"") + nested(400),
        short((0x0008, 0x0060), b"??", b"")
        + long((0x0008, 0x1140), b"SQ", UNDEFINED)
        + item(length=0) * 2_000_000,
    ],
    ids=["elements", "depth", "items"],
)
def test_pydicoms_reading_is_bounded_as_the_walk_is(data: bytes) -> None:
    """What is odd on purpose gets no more time, depth or elements than the rest."""
    assert isinstance(identify(data, EXPLICIT_LITTLE), Malformed)
    assert cpu_s_of(data, EXPLICIT_LITTLE) < 1.5 * CPU_S_MAX


SEEDS = tuple(
    real_file(name)
    for name in (
        *("CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "test-SR.dcm"),
        *("UN_sequence.dcm", "nested_priv_SQ.dcm", "rtplan.dcm", "SC_rgb_jpeg.dcm"),
        *("JPEG2000.dcm", "waveform_ecg.dcm", "image_dfl.dcm"),
    )
)


@given(file=st.sampled_from(SEEDS), data=st.data())
def test_a_data_set_cut_anywhere_never_raises_nor_takes_long(
    file: RealFile, data: st.DataObject
) -> None:
    """Truncation at any offset gives an answer, soon."""
    end = data.draw(st.integers(0, len(file.data_set)))
    assert cpu_s_of(file.data_set[:end], file.transfer_syntax_uid) < CPU_S_MAX


@given(
    file=st.sampled_from(SEEDS),
    value=st.sampled_from([0, 1, 7, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, UNDEFINED]),
    width=st.sampled_from([1, 2, 4]),
    data=st.data(),
)
def test_a_data_set_with_forged_bytes_never_raises_nor_takes_long(
    file: RealFile, value: int, width: int, data: st.DataObject
) -> None:
    """Lengths, tags and VRs overwritten anywhere in the header give an answer, soon."""
    mutated = bytearray(file.data_set)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(mutated), 4_000) - width))
        mutated[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    syntax = data.draw(
        st.sampled_from([file.transfer_syntax_uid, EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG])
    )
    assert cpu_s_of(bytes(mutated), syntax) < CPU_S_MAX


@given(noise=st.binary(max_size=400), syntax=st.sampled_from([EXPLICIT_LITTLE, IMPLICIT_LITTLE]))
def test_noise_never_raises(noise: bytes, syntax: str) -> None:
    """Bytes without any sense give an answer."""
    assert isinstance(identify(noise, syntax), Identity | Malformed)
