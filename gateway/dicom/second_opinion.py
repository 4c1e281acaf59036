"""pydicom's reading, for data sets of which our walker is not certain; bounded like the walk."""

from __future__ import annotations

import time
from typing import BinaryIO, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from gateway.dicom.encoding import Encoding
from gateway.dicom.structure import (
    DEPTH_MAX,
    ELEMENTS_MAX,
    PADDING_BYTES_MAX,
    VALUE_BYTES_MAX,
    Malformed,
    Path,
    Reason,
    Walked,
)

_CPU_S_MAX = 1.5
_READS_PER_CLOCK = 256
_UNDEFINED = 0xFFFFFFFF


class _TooSlow(Exception):
    """Reading took more processor time than one data set may have."""


class _Reader:
    """A file over a memoryview, without a copy, that ends a reading that takes too long."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0
        self._reads = 0
        self._until_s = time.thread_time() + _CPU_S_MAX

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads % _READS_PER_CLOCK == 0 and time.thread_time() > self._until_s:
            raise _TooSlow
        stop = len(self._data) if size < 0 else self._position + size
        found = bytes(self._data[self._position : stop])
        self._position += len(found)
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._position, len(self._data))[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position


def read_with_pydicom(
    data: memoryview, encoding: Encoding, wanted: frozenset[Path]
) -> Walked | Malformed:
    """Read `data` with pydicom: `Walked` if it reads to the end, within the bounds of a walk.

    At most about 2 s of processor time. Never raises.
    """
    reader = _Reader(data)
    try:
        data_set = read_dataset(
            cast(BinaryIO, reader),  # pydicom uses no more of a file than ours has
            is_implicit_VR=encoding.implicit,
            is_little_endian=encoding.little,
            defer_size=VALUE_BYTES_MAX,
        )
        _check(data_set, data, top=True)
        _check_all_was_read(reader, data)
        return Walked(elements=_take(data_set, data, wanted))
    except _Unfit as unfit:
        return Malformed(reason=unfit.reason)
    except Exception:  # noqa: BLE001 - whatever it is, pydicom could not read this data set
        return Malformed(reason=Reason.UNREADABLE)


class _Unfit(Exception):
    """pydicom has read the data set, and it breaks a bound."""

    def __init__(self, reason: Reason) -> None:
        super().__init__()
        self.reason = reason


def _check(data_set: Dataset, data: memoryview, *, top: bool, depth: int = 0) -> int:
    """Count elements, and check depth and lengths, without converting any value.

    Sequences of defined length are still raw bytes here, and stay so: pydicom would not look.
    """
    if depth > DEPTH_MAX:
        raise _Unfit(Reason.TOO_DEEP)
    count = 0
    for element in data_set.values():
        count += 1
        if isinstance(element, DataElement):
            if element.VR == "SQ":
                count += sum(
                    _check(item, data, top=False, depth=depth + 1) for item in element.value
                )
        elif element.length != _UNDEFINED and _is_cut(element, data, top=top):
            raise _Unfit(Reason.LENGTH_BEYOND_END)
        if count > ELEMENTS_MAX:
            raise _Unfit(Reason.TOO_MANY_ELEMENTS)
    return count


def _is_cut(element: RawDataElement, data: memoryview, *, top: bool) -> bool:
    if element.value is None:
        # Left unread for its length. Positions count from the start of the data at the top only.
        return top and element.value_tell + element.length > len(data)
    return len(element.value) != element.length


def _check_all_was_read(reader: _Reader, data: memoryview) -> None:
    left = max(0, len(data) - reader.tell())
    if left > PADDING_BYTES_MAX or data[len(data) - left :] != bytes(left):
        raise _Unfit(Reason.TRUNCATED)


def _take(data_set: Dataset, data: memoryview, wanted: frozenset[Path]) -> dict[Path, bytes]:
    found: dict[Path, bytes] = {}
    raw = _by_tag(data_set)
    for path in wanted:
        element = raw.get(path[0])
        if element is None:
            continue
        if len(path) == 1:
            if isinstance(element, RawDataElement) and element.length != _UNDEFINED:
                stop = element.value_tell + min(element.length, VALUE_BYTES_MAX)
                found[path] = bytes(data[element.value_tell : stop])
        elif items := data_set[BaseTag(path[0])].value:
            inner = _by_tag(items[0]).get(path[1])
            if isinstance(inner, RawDataElement):
                found[path] = bytes((inner.value or b"")[:VALUE_BYTES_MAX])
    return found


def _by_tag(data_set: Dataset) -> dict[int, DataElement | RawDataElement]:
    return {int(element.tag): element for element in data_set.values()}
