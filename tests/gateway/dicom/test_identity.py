"""Identity: what a data set says of itself, read as pydicom reads it."""

from __future__ import annotations

import logging
import warnings
import zlib
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.sequence import Sequence

from gateway.dicom import header
from gateway.dicom.charset import TEXT_CHARACTERS_MAX, decode_person_name, decode_text
from gateway.dicom.encoding import DEFLATED_UID
from gateway.dicom.header import Identity, identify
from gateway.dicom.quiet import silence_libraries
from gateway.dicom.structure import Malformed, Reason
from tests.gateway.dicom.files import RealFile, real_file, real_files
from tests.gateway.dicom.support import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ct_image,
    encoded,
)

UIDS = {
    "sop_class_uid": "SOPClassUID",
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
}
TEXTS = {
    "accession": "AccessionNumber",
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "modality": "Modality",
    "study_date": "StudyDate",
    "study_description": "StudyDescription",
}


def identity_of(data_set: bytes, transfer_syntax_uid: str = EXPLICIT_LITTLE) -> Identity:
    """Identify what is known to be whole."""
    identity = identify(data_set, transfer_syntax_uid)
    assert isinstance(identity, Identity)
    return identity


def as_pydicom_reads(file: RealFile) -> dict[str, str]:
    """The same fields by pydicom, as text."""
    data_set = dcmread(file.path)
    return {
        field: str(data_set.get(keyword) or "").strip() for field, keyword in (UIDS | TEXTS).items()
    }


@pytest.mark.slow
def test_identity_equals_pydicoms_reading_of_every_real_file() -> None:
    """UIDs and texts of all whole files are the same, compressed or not, in any character set."""
    for file in real_files():
        identity = identify(file.data_set, file.transfer_syntax_uid)
        if isinstance(identity, Malformed):
            continue
        ours = {field: getattr(identity, field) for field in UIDS}
        ours |= {field: getattr(identity.description, field) for field in TEXTS}
        assert ours == as_pydicom_reads(file), file.path.name


@pytest.mark.parametrize(
    "name, patient_name",
    [
        ("chrX1.dcm", "Wang^XiaoDong=王^小東"),
        ("chrX2.dcm", "Wang^XiaoDong=王^小东"),
        ("chrI2.dcm", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("chrH31.dcm", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("chrH32.dcm", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("chrFren.dcm", "Buc^Jérôme"),
        ("chrRuss.dcm", "Люкceмбypг"),
        ("chrGreek.dcm", "Διονυσιος"),
    ],
)
def test_names_are_decoded_by_their_character_set(name: str, patient_name: str) -> None:
    """Chinese, Korean, Japanese, Latin, Cyrillic and Greek files of pydicom."""
    file = real_file(name)
    identity = identity_of(file.data_set, file.transfer_syntax_uid)
    assert identity.description.patient_name == patient_name


@pytest.mark.parametrize("label", [b"ISO_IR 100", b"", b"ISO_IR 6", b"NONSENSE", b"ISO_IR 192"])
def test_chinese_bytes_under_another_label_are_still_read(label: bytes) -> None:
    """GBK labelled as Latin-1, as UTF-8, as nothing or as nonsense."""
    assert decode_person_name("王^小东".encode("gb18030"), label) == "王^小东"
    assert decode_person_name("王^小东".encode(), label) == "王^小东"


@pytest.mark.parametrize("name", ["Müller^Jürgen", "Buc^Jérôme", "Aimée^Zoë", "Ångström^Åsa"])
def test_latin_names_are_not_taken_for_chinese(name: str) -> None:
    """ISO_IR 100 is believed where its bytes are plausible."""
    assert decode_person_name(name.encode("latin_1"), b"ISO_IR 100") == name


def test_the_escape_sequence_of_iso_2022_ir_58_is_stripped() -> None:
    """pydicom leaves it in the text."""
    raw = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    assert decode_person_name(raw, b"\\ISO 2022 IR 58") == "Zhang^XiaoDong=张^小东"
    assert decode_text(b"\x1b$)A\xd5\xc5", b"\\ISO 2022 IR 58") == "张"


@pytest.mark.parametrize(
    "raw, label",
    [
        (b"\xff\xfe\xfd", b"ISO_IR 192"),
        (b"\x80", b"GB18030"),
        (b"\x1b$)A\xd5", b"\\ISO 2022 IR 58"),
        (b"\x1b\x1b\x1b", b"ISO 2022 IR 87"),
        (b"\x1b$B\xff\xff", b"\\ISO 2022 IR 87"),
        (b"a\xe9", b"ISO_IR 999\\\xff\xff"),
        (b"\xc3\x28", b"\x1b\\\\\\"),
    ],
)
def test_text_that_can_not_be_decoded_is_replaced_and_never_raises(
    raw: bytes, label: bytes
) -> None:
    """Lying, unknown and broken labels give some text without control characters."""
    for text in (decode_text(raw, label), decode_person_name(raw, label)):
        assert text.isprintable()


def test_text_for_the_index_has_a_limit_and_no_control_characters() -> None:
    """NUL can't be stored by PostgreSQL; a megabyte is no name."""
    assert decode_text(b" A\0B\nC\x7f ", b"") == "ABC"
    assert len(decode_text(b"x" * 4_096, b"")) == TEXT_CHARACTERS_MAX


def test_raw_fields_are_bytes_as_sent_without_padding() -> None:
    """KEY-2 works on these, whatever the character set."""
    data = encoded(ct_image(AccessionNumber="A1", StudyDate="20260102"))
    data = data.replace(b"P1", b"\xcd\xf5").replace(b"A1", b"A ")
    identity = identity_of(data)

    assert identity.patient_id_raw == b"\xcd\xf5"
    assert identity.accession_number_raw == b"A"
    assert identity.study_date_raw == b"20260102"
    assert identity.accession_issuer_raw == b""


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
def test_the_issuer_is_joined_so_that_no_two_issuers_meet(syntax: str) -> None:
    """Parts come after their lengths: AB + C is not A + BC."""

    def issuer(**parts: Any) -> bytes:
        issuer_item = Dataset()
        for keyword, value in parts.items():
            setattr(issuer_item, keyword, value)
        image = ct_image(IssuerOfAccessionNumberSequence=Sequence([issuer_item]))
        return identity_of(encoded(image, syntax), syntax).accession_issuer_raw

    one = issuer(LocalNamespaceEntityID="AB", UniversalEntityID="C")
    other = issuer(LocalNamespaceEntityID="A", UniversalEntityID="BC")
    assert one == b"2:AB1:C0:"
    assert other == b"1:A2:BC0:"
    assert issuer() == b""


def test_missing_elements_are_empty_values() -> None:
    """Nothing is made up, and nothing raises."""
    identity = identity_of(b"")
    assert identity.study_instance_uid == ""
    assert identity.patient_id_raw == b""
    assert identity.description.patient_name == ""


def deflated(data: bytes) -> bytes:
    """PS3.5 A.5: RFC 1951 without any header."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def test_a_deflated_data_set_is_identified() -> None:
    """Where a setting offers the syntax."""
    data = deflated(encoded(ct_image()))
    assert identity_of(data, DEFLATED_UID).study_instance_uid == "1.2.3"


def test_a_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output is bounded; what is cut or no deflate stream is malformed too."""
    monkeypatch.setattr(header, "INFLATED_BYTES_MAX", 1_000)
    bomb = deflated(bytes(1_000_000))

    assert identify(bomb, DEFLATED_UID) == Malformed(reason=Reason.INFLATED_TOO_LARGE)
    assert identify(deflated(encoded(ct_image()))[:-3], DEFLATED_UID) == Malformed(
        reason=Reason.TRUNCATED
    )
    assert identify(b"\xff" * 20, DEFLATED_UID) == Malformed(reason=Reason.INFLATE_FAILED)


def test_no_value_gets_into_logs_or_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """Reading the oddest files with everything on says nothing about what is in them."""
    silence_libraries()
    caplog.set_level(logging.DEBUG)
    odd = encoded(ct_image(PatientID="CANARY", PatientName="CANARY")).replace(b"CS", b"C?")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        silence_libraries()
        identify(odd.replace(b"1.2.3", b"C.X.Y"), EXPLICIT_LITTLE)
        decode_person_name(b"CANARY\x1b$B\xff", b"\\ISO 2022 IR 87")
    assert not [warning for warning in caught if "CANARY" in str(warning.message)]
    assert "CANARY" not in caplog.text
