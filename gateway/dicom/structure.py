"""What a structural walk over a data set can find, and the bounds that it keeps.

A walk answers "is this whole?" before anything is acknowledged, and picks up the raw bytes of a
few wanted elements on its way. `Uncertain` says that the encoding leaves room for doubt: then
pydicom decides, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

DEPTH_MAX = 32
"""Sequences within sequences; real objects stay below 10."""
ELEMENTS_MAX = 200_000
"""Elements in all, nested ones included; items are held to the same number again."""
FRAGMENTS_MAX = 2_000_000
"""Fragments of encapsulated Pixel Data; a slide of 100,000 x 100,000 pixels has 200,000."""
VALUE_BYTES_MAX = 4_096
"""What is kept of a wanted value. The longest legal one, an LO in GB18030, has 256 bytes."""
PADDING_BYTES_MAX = 1_048_576
"""Zeros after the last element that are taken for padding."""

Path: TypeAlias = tuple[int, ...]
"""A top-level tag, or a top-level sequence's tag and one in its first item."""


class Reason(StrEnum):
    """Why a data set can't be whole; stable names for events."""

    TRUNCATED = "truncated"
    LENGTH_BEYOND_END = "length_beyond_end"
    WRONG_BYTE_ORDER = "wrong_byte_order"
    TOO_DEEP = "too_deep"
    TOO_MANY_ELEMENTS = "too_many_elements"
    INFLATE_FAILED = "inflate_failed"
    INFLATED_TOO_LARGE = "inflated_too_large"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Walked:
    """The structure holds to the last byte. `elements`: raw wanted values, unpadded as sent.

    Of elements that come twice the last one counts, as in pydicom and DCMTK.
    """

    elements: Mapping[Path, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """The data set can't be read by anyone, or exceeds a bound."""

    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Uncertain:
    """Odd, but perhaps readable; `position` (bytes) is where the doubt arose."""

    position: int


Outcome: TypeAlias = Walked | Malformed | Uncertain
