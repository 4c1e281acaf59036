"""Synthetic examinations: patients who do not exist, and images with no more than a pattern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, product

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    OphthalmicPhotography8BitImageStorage,
    generate_uid,
)

_EDGE = 32
"""Rows and columns: the story is about counting examinations, not about moving pixels."""
_SURNAMES = (
    *(("Zhang", "张"), ("Wang", "王"), ("Li", "李"), ("Zhao", "赵"), ("Chen", "陈")),
    *(("Liu", "刘"), ("Yang", "杨"), ("Huang", "黄"), ("Zhou", "周"), ("Wu", "吴")),
)
_GIVEN_NAMES = (
    *(("Wei", "伟"), ("Fang", "芳"), ("Na", "娜"), ("Xiuying", "秀英"), ("Min", "敏")),
    *(("Jing", "静"), ("Lei", "磊"), ("Yang", "洋"), ("Yan", "艳"), ("Guilan", "桂兰")),
)
_NAMES = tuple(
    f"{surname}^{given}={han_surname}^{han_given}"
    for (surname, han_surname), (given, han_given) in product(_SURNAMES, _GIVEN_NAMES)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What a sort of device sends."""

    modality: str
    sop_class_uid: str
    character_set: str
    images_per_examination: int
    study_per_image: bool
    """As fundus cameras do: only the accession number holds the images together."""
    colour: bool


CT = Kind(
    modality="CT",
    sop_class_uid=CTImageStorage,
    character_set="ISO_IR 192",
    images_per_examination=2,
    study_per_image=False,
    colour=False,
)
MR = Kind(
    modality="MR",
    sop_class_uid=MRImageStorage,
    character_set="GB18030",
    images_per_examination=1,
    study_per_image=False,
    colour=False,
)
FUNDUS = Kind(
    modality="OP",
    sop_class_uid=OphthalmicPhotography8BitImageStorage,
    character_set="ISO_IR 192",
    images_per_examination=2,
    study_per_image=True,
    colour=True,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One instance to be sent, known by its UIDs."""

    number: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """One visit of one patient to one device."""

    kind: Kind
    accession: str
    patient_id: str
    patient_name: str
    study_date: str
    images: tuple[Image, ...]


class Worklist:
    """Makes the examinations of one device, each new."""

    def __init__(self, kind: Kind, *, ae_title: str, study_date: str) -> None:
        self._kind = kind
        self._ae_title = ae_title
        self._study_date = study_date
        self._numbers = count(1)

    def take(self, examinations: int) -> list[Examination]:
        """The next examinations."""
        return [self._next() for _ in range(examinations)]

    def _next(self) -> Examination:
        number = next(self._numbers)
        return Examination(
            kind=self._kind,
            accession=f"{self._ae_title}-{number:05}",
            patient_id=f"DEMO-{self._kind.modality}-{number:05}",
            patient_name=_NAMES[number * 7 % len(_NAMES)],
            study_date=self._study_date,
            images=tuple(_images(self._kind)),
        )


def _images(kind: Kind) -> Iterable[Image]:
    study, series = generate_uid(prefix=None), generate_uid(prefix=None)
    for number in range(1, kind.images_per_examination + 1):
        if kind.study_per_image and number > 1:
            study, series = generate_uid(prefix=None), generate_uid(prefix=None)
        yield Image(
            number=number,
            study_instance_uid=study,
            series_instance_uid=series,
            sop_instance_uid=generate_uid(prefix=None),
        )


def another_image(examination: Examination) -> Image:
    """One more image for the last study of an examination."""
    last = examination.images[-1]
    return Image(
        number=last.number + 1,
        study_instance_uid=last.study_instance_uid,
        series_instance_uid=last.series_instance_uid,
        sop_instance_uid=generate_uid(prefix=None),
    )


def data_set(examination: Examination, image: Image) -> Dataset:
    """The image as it is sent. Built anew for each sending: the same bytes every time."""
    kind = examination.kind
    made = Dataset()
    made.SpecificCharacterSet = kind.character_set
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    made.SOPClassUID = kind.sop_class_uid
    made.SOPInstanceUID = image.sop_instance_uid
    made.StudyDate = examination.study_date
    made.StudyTime = "080000"
    made.AccessionNumber = examination.accession
    made.Modality = kind.modality
    made.Manufacturer = "Tollgate demo"
    made.PatientName = examination.patient_name
    made.PatientID = examination.patient_id
    made.StudyInstanceUID = image.study_instance_uid
    made.SeriesInstanceUID = image.series_instance_uid
    made.SeriesNumber = 1
    made.InstanceNumber = image.number
    if kind.colour:
        made.ImageLaterality = "L" if image.number % 2 else "R"
    _add_pixels(made, kind, image.number)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def _add_pixels(made: Dataset, kind: Kind, number: int) -> None:
    bits = 8 if kind.colour else 16
    made.SamplesPerPixel = 3 if kind.colour else 1
    made.PhotometricInterpretation = "RGB" if kind.colour else "MONOCHROME2"
    if kind.colour:
        made.PlanarConfiguration = 0
    made.Rows = made.Columns = _EDGE
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit = bits - 1
    made.PixelRepresentation = 0
    size_bytes = _EDGE * _EDGE * made.SamplesPerPixel * bits // 8
    pattern = bytes((number * 31 + step) % 251 for step in range(251))
    pixels = (pattern * (size_bytes // len(pattern) + 1))[:size_bytes]
    made.add_new(0x7FE00010, "OB" if kind.colour else "OW", pixels)
