"""Any number of instances for hardly any time: encoded once, then given UIDs of their own."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode

from gateway.dicom import part10
from tests.benchmarks.peers.data import pixels_of, study_of
from tests.benchmarks.peers.scenario import Kind
from tests.benchmarks.peers.wire import Request, request_of

PDU_LENGTH_MAX = 131_072
_ROOT = "1.2.826.0.1.3680043.10"
_FIRST = 10**9
"""Added to every number: all of them are of one length, so nothing else needs to be changed."""
_STUDY_MARK, _NUMBER_MARK = 9_999_999_998, 9_999_999_999


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """An instance under marked UIDs, as a request and as a data set."""

    sop_class_uid: str
    modality: str
    request_bytes: bytes
    data_set: bytes

    def request(self, study: int, number: int) -> Request:
        """The instance `number` of a study, ready to be sent."""
        pdus = _stamped(self.request_bytes, study, number)
        return Request(pdus=pdus, size_bytes=len(self.data_set))

    def part10(self, study: int, number: int) -> tuple[bytes, bytes]:
        """The same as the gateway keeps it: what it puts before the data set, and the data set."""
        head = part10.header(
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=sop_instance_uid(study, number),
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
        return head, _stamped(self.data_set, study, number)


def pattern_of(kind: Kind) -> Pattern:
    """What an image of that kind typically says, with its pixels."""
    data_set = study_of(kind, "1")
    data_set.InstanceNumber = 1
    data_set.PixelData = pixels_of(kind)
    return pattern_of_data_set(data_set)


def pattern_of_data_set(data_set: Dataset) -> Pattern:
    """Any data set, whose study, series and instance UIDs are replaced."""
    data_set.StudyInstanceUID = f"{_ROOT}.{_STUDY_MARK}"
    data_set.SeriesInstanceUID = f"{data_set.StudyInstanceUID}.1"
    data_set.SOPInstanceUID = f"{data_set.SeriesInstanceUID}.{_NUMBER_MARK}"
    encoded = encode(data_set, is_implicit_vr=False, is_little_endian=True)
    assert encoded is not None
    request = request_of(
        encoded,
        sop_class_uid=data_set.SOPClassUID,
        sop_instance_uid=data_set.SOPInstanceUID,
        message_id=1,
        pdu_length_max=PDU_LENGTH_MAX,
    )
    return Pattern(
        sop_class_uid=str(data_set.SOPClassUID),
        modality=str(data_set.Modality),
        request_bytes=request.pdus,
        data_set=encoded,
    )


def study_instance_uid(study: int) -> str:
    """Of the study of that number."""
    return f"{_ROOT}.{_FIRST + study}"


def sop_instance_uid(study: int, number: int) -> str:
    """Of the instance `number` of a study."""
    return f"{study_instance_uid(study)}.1.{_FIRST + number}"


def _stamped(encoded: bytes, study: int, number: int) -> bytes:
    return encoded.replace(b"%d" % _STUDY_MARK, b"%d" % (_FIRST + study)).replace(
        b"%d" % _NUMBER_MARK, b"%d" % (_FIRST + number)
    )
