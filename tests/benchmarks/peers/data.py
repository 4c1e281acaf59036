"""The data of a scenario: Part 10 files, one folder an association, no two instances alike."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    OphthalmicPhotography8BitImageStorage,
    generate_uid,
)

from tests.benchmarks.peers.scenario import Kind, Scenario

_INSTANCES_PER_STUDY = 100
_SOP_CLASS_OF = {
    "MR": MRImageStorage,
    "CT": CTImageStorage,
    "fundus": OphthalmicPhotography8BitImageStorage,
    "1 GB": MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
}
SOP_CLASSES = tuple(_SOP_CLASS_OF.values())


def make(scenario: Scenario, below: Path) -> list[Path]:
    """Write the files, unless they are there; returns a folder for each association."""
    name, associations, instances = scenario.data
    root = below / f"{name}-{associations}-{instances}".replace(" ", "")
    folders = [root / str(n) for n in range(associations)]
    if root.exists():
        return folders
    pixels = pixels_of(scenario.kind)
    for folder in folders:
        folder.mkdir(parents=True)
        study = study_of(scenario.kind, folder.name)
        for n in range(instances // associations):
            if n and n % _INSTANCES_PER_STUDY == 0:
                study = study_of(scenario.kind, f"{folder.name}-{n}")
            study.SOPInstanceUID = generate_uid()
            study.InstanceNumber = n + 1
            study.file_meta.MediaStorageSOPInstanceUID = study.SOPInstanceUID
            study.PixelData = pixels
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, study, enforce_file_format=True)
            (folder / f"{n:06d}.dcm").write_bytes(buffer.getbuffer())
    return folders


def pixels_of(kind: Kind) -> bytes:
    """A pattern; nobody compresses what is stored as received."""
    return (bytes(range(256)) * (kind.pixel_bytes // 256 + 1))[: kind.pixel_bytes]


def study_of(kind: Kind, accession: str) -> Dataset:
    """What an image of that kind typically says, about 60 elements with a sequence or two."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = _SOP_CLASS_OF[kind.name]
    dataset.SOPClassUID = _SOP_CLASS_OF[kind.name]
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, keyword, "20260102")
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(dataset, keyword, "101112.123456")
    dataset.AccessionNumber = f"B{accession}"
    dataset.Modality = {"MR": "MR", "CT": "CT", "fundus": "OP"}.get(kind.name, "OT")
    texts = ("Manufacturer", "InstitutionName", "StationName", "StudyDescription")
    for n, keyword in enumerate((*texts, "SeriesDescription", "ManufacturerModelName")):
        setattr(dataset, keyword, f"Synthetic {n}")
    referenced = Dataset()
    referenced.ReferencedSOPClassUID = dataset.SOPClassUID
    referenced.ReferencedSOPInstanceUID = generate_uid()
    dataset.ReferencedImageSequence = [referenced, referenced]
    dataset.PatientName = "Benchmark^Nobody"
    dataset.PatientID = f"P{accession}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19700101", "O", "056Y"
    dataset.PatientWeight = 70
    dataset.SliceThickness, dataset.KVP, dataset.PixelSpacing = 1, 120, [0.5, 0.5]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.StudyID, dataset.SeriesNumber, dataset.AcquisitionNumber = "1", 1, 1
    dataset.ImagePositionPatient = [0, 0, 1]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel = 3 if kind.colour else 1
    dataset.PhotometricInterpretation = "RGB" if kind.colour else "MONOCHROME2"
    if kind.colour:
        dataset.PlanarConfiguration = 0
    if kind.frames > 1:
        dataset.NumberOfFrames = kind.frames
    dataset.Rows = dataset.Columns = kind.edge
    bits = 8 if kind.colour else 16
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
    return dataset
