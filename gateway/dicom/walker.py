"""Structural walk over one complete data set: where every value lies, without reading values.

Lengths, delimiters and bounds are checked to the last byte (PS3.5 7.1, 7.5, A.4). Values, pixels
above all, are skipped by length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gateway.dicom.encoding import (
    LAYOUTS,
    SEQUENCE_TAGS,
    VRS_ENCAPSULATING,
    VRS_LONG,
    VRS_SHORT,
    Encoding,
    Layout,
)
from gateway.dicom.structure import (
    DEPTH_MAX,
    ELEMENTS_MAX,
    FRAGMENTS_MAX,
    PADDING_BYTES_MAX,
    VALUE_BYTES_MAX,
    Malformed,
    Outcome,
    Path,
    Reason,
    Uncertain,
    Walked,
)

_HEADER_BYTES = 8
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA = 0x7FE00010


def walk(data: memoryview, encoding: Encoding, wanted: frozenset[Path]) -> Outcome:
    """Walk `data` (a complete data set without preamble and file meta) once, front to back.

    Never raises on any input; linear in the number of elements, which is bounded.
    """
    try:
        return _Walk(data, wanted).run(LAYOUTS[encoding])
    except _Verdict as verdict:
        return verdict.outcome


class _Verdict(Exception):
    """Ends a walk before the end of the data; never leaves this module."""

    def __init__(self, outcome: Malformed | Uncertain) -> None:
        super().__init__()
        self.outcome = outcome


class _Kind(Enum):
    ELEMENTS = 0
    ITEMS = 1
    FRAGMENTS = 2


@dataclass(kw_only=True, slots=True)
class _Frame:
    """One open container. `end`: its own if `defined`, else the one of the container around it.

    `guessed`: its encoding is an assumption (UN, PS3.5 6.2.2), so that nothing in it is certain.
    """

    kind: _Kind
    end: int
    layout: Layout
    defined: bool = True
    guessed: bool = False
    prefix: Path = ()
    wanted: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Walk:
    data: memoryview
    paths: frozenset[Path]
    position: int = 0
    elements: int = 0
    items: int = 0
    fragments: int = 0
    depth: int = 0
    stack: list[_Frame] = field(default_factory=list)
    found: dict[Path, bytes] = field(default_factory=dict)

    def run(self, layout: Layout) -> Walked:
        """Walk to the end; raises `_Verdict` where that is not possible."""
        # No group 0800 exists: it is 0008, the first group of every data set, swapped.
        if len(self.data) >= _HEADER_BYTES and layout.item(self.data, 0)[0] == 0x0800:
            raise _Verdict(Malformed(reason=Reason.WRONG_BYTE_ORDER))
        top = frozenset(path[0] for path in self.paths if len(path) == 1)
        whole = _Frame(kind=_Kind.ELEMENTS, end=len(self.data), layout=layout, wanted=top)
        self.stack.append(whole)
        steps = {
            _Kind.ELEMENTS: self._elements,
            _Kind.ITEMS: self._item,
            _Kind.FRAGMENTS: self._fragments,
        }
        while self.stack:
            frame = self.stack[-1]
            steps[frame.kind](frame)
        return Walked(elements=self.found)

    def _elements(self, frame: _Frame) -> None:
        """Read elements until a container opens among them or their own ends."""
        data, end, wanted, layout = self.data, frame.end, frame.wanted, frame.layout
        header, implicit = layout.header, layout.implicit
        position, vr = self.position, b""
        while end - position >= _HEADER_BYTES:
            value = position + _HEADER_BYTES
            if implicit:
                group, element, length = header(data, position)
            else:
                group, element, vr, length = header(data, position)
            tag = group << 16 | element
            self.position = position
            if group == 0xFFFE or tag == 0:
                return self._delimiter(frame, tag)
            if not implicit and vr not in VRS_SHORT:
                length = self._long_length(frame, vr, value)
                value += 4
            self.elements += 1
            if self.elements > ELEMENTS_MAX:
                raise _Verdict(Malformed(reason=Reason.TOO_MANY_ELEMENTS))
            if length == _UNDEFINED or self._holds_items(frame, tag, vr):
                return self._open(frame, tag=tag, vr=vr, value=value, length=length)
            if length > end - value:
                raise self._overrun(frame, value + length)
            if tag in wanted:
                kept = min(length, VALUE_BYTES_MAX)
                self.found[*frame.prefix, tag] = bytes(data[value : value + kept])
            position = value + length
        self.position = position
        return self._close_elements(frame)

    def _long_length(self, frame: _Frame, vr: bytes, offset: int) -> int:
        if vr not in VRS_LONG:
            raise self._uncertain()
        if frame.end - offset < 4:
            raise self._cut(frame)
        (length,) = frame.layout.long_length(self.data, offset)
        return int(length)

    def _holds_items(self, frame: _Frame, tag: int, vr: bytes) -> bool:
        if frame.layout.implicit:
            return tag in SEQUENCE_TAGS
        # A writer that does not know the tag sends UN; only a wanted sequence is worth the guess.
        return vr == b"SQ" or (vr == b"UN" and len(self.stack) == 1 and bool(self._inner(tag)))

    def _inner(self, tag: int) -> frozenset[int]:
        return frozenset(path[1] for path in self.paths if len(path) == 2 and path[0] == tag)

    def _open(self, frame: _Frame, *, tag: int, vr: bytes, value: int, length: int) -> None:
        """Open the sequence or the encapsulated value whose value field begins at `value`."""
        defined = length != _UNDEFINED
        if defined and length > frame.end - value:
            raise self._overrun(frame, value + length)
        kind, layout, guessed = self._inside(frame, tag, vr)
        if kind is _Kind.ITEMS:
            self.depth += 1
            if self.depth > DEPTH_MAX:
                raise _Verdict(Malformed(reason=Reason.TOO_DEEP))
        top = len(self.stack) == 1
        self.stack.append(
            _Frame(
                kind=kind,
                end=value + length if defined else frame.end,
                layout=layout,
                defined=defined,
                guessed=guessed,
                prefix=(tag,) if top else (),
                wanted=self._inner(tag) if top else frozenset(),
            )
        )
        self.position = value

    def _inside(self, frame: _Frame, tag: int, vr: bytes) -> tuple[_Kind, Layout, bool]:
        """What a container of this VR holds, how it is written, and whether that is a guess."""
        if frame.layout.implicit:
            if tag == _PIXEL_DATA:
                raise self._uncertain()
            return _Kind.ITEMS, frame.layout, frame.guessed
        if vr == b"SQ":
            return _Kind.ITEMS, frame.layout, frame.guessed
        if vr == b"UN":
            # PS3.5 6.2.2: what has become UN is implicit little endian inside.
            return _Kind.ITEMS, LAYOUTS[Encoding.IMPLICIT_LITTLE], True
        if vr in VRS_ENCAPSULATING:
            return _Kind.FRAGMENTS, frame.layout, frame.guessed
        raise self._uncertain()

    def _item(self, frame: _Frame) -> None:
        """Read one item's header, or the end of the sequence."""
        start = self.position
        if frame.defined and start == frame.end:
            return self._close_sequence(start)
        if frame.end - start < _HEADER_BYTES:
            raise self._cut(frame)
        group, element, length = frame.layout.item(self.data, start)
        tag = group << 16 | element
        start += _HEADER_BYTES
        if tag == _SEQUENCE_END:
            # Within a defined length it is superfluous, and what follows it means nothing.
            return self._close_sequence(frame.end if frame.defined else start)
        if tag != _ITEM:
            raise self._uncertain()
        self.items += 1
        if self.items > ELEMENTS_MAX:
            raise _Verdict(Malformed(reason=Reason.TOO_MANY_ELEMENTS))
        defined = length != _UNDEFINED
        if defined and length > frame.end - start:
            raise self._overrun(frame, start + length)
        self.stack.append(
            _Frame(
                kind=_Kind.ELEMENTS,
                end=start + length if defined else frame.end,
                layout=frame.layout,
                defined=defined,
                guessed=frame.guessed,
                prefix=frame.prefix,
                wanted=frame.wanted,
            )
        )
        # Only the first item of a wanted sequence is of interest.
        frame.wanted = frozenset()
        self.position = start
        return None

    def _close_sequence(self, position: int) -> None:
        self.stack.pop()
        self.depth -= 1
        self.position = position

    def _fragments(self, frame: _Frame) -> None:
        """Skip the fragments of an encapsulated value by their lengths (PS3.5 A.4)."""
        data, end, item, position = self.data, frame.end, frame.layout.item, self.position
        while end - position >= _HEADER_BYTES:
            group, element, length = item(data, position)
            tag = group << 16 | element
            self.position = position
            position += _HEADER_BYTES
            if tag == _SEQUENCE_END:
                self.stack.pop()
                self.position = position
                return
            if tag != _ITEM or length == _UNDEFINED:
                raise self._uncertain()
            self.fragments += 1
            if self.fragments > FRAGMENTS_MAX:
                raise _Verdict(Malformed(reason=Reason.TOO_MANY_ELEMENTS))
            if length > end - position:
                raise self._overrun(frame, position + length)
            position += length
        raise self._cut(frame)

    def _delimiter(self, frame: _Frame, tag: int) -> None:
        """Something with a tag of delimiters, or of zeros, where an element should be."""
        nested = len(self.stack) > 1
        if tag == _ITEM_END and nested:
            self.position = frame.end if frame.defined else self.position + _HEADER_BYTES
        elif tag != 0 or nested or not self._only_zeros_left():
            raise self._uncertain()
        self.stack.pop()

    def _close_elements(self, frame: _Frame) -> None:
        whole = frame.defined and self.position == frame.end
        padded = len(self.stack) == 1 and self._only_zeros_left()
        if not whole and not padded:
            raise self._cut(frame)
        self.stack.pop()

    def _only_zeros_left(self) -> bool:
        left = len(self.data) - self.position
        return left <= PADDING_BYTES_MAX and self.data[self.position :] == bytes(left)

    def _uncertain(self) -> _Verdict:
        return _Verdict(Uncertain(position=self.position))

    def _cut(self, frame: _Frame) -> _Verdict:
        """A container ends too early: certain only if the data set itself ends there."""
        if frame.end == len(self.data) and not frame.guessed:
            return _Verdict(Malformed(reason=Reason.TRUNCATED))
        return self._uncertain()

    def _overrun(self, frame: _Frame, stop: int) -> _Verdict:
        """A length leads out of its container: certain only if out of the data set as well."""
        if stop > len(self.data) and not frame.guessed:
            return _Verdict(Malformed(reason=Reason.LENGTH_BEYOND_END))
        return self._uncertain()
