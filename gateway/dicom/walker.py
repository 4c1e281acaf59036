"""Structural walk over one data set: where every value lies, without reading values.

Lengths, delimiters and bounds are checked to the last byte (PS3.5 7.1, 7.5, A.4). Values, pixels
above all, are skipped by length. The data set may be complete (`walk`) or come in pieces, through
windows of which only what is not understood yet is kept (`Walk`, for `gateway.dicom.scan`).
"""

from __future__ import annotations

from functools import lru_cache

from gateway.dicom.encoding import (
    LAYOUTS,
    SEQUENCE_TAGS,
    VRS_ENCAPSULATING,
    VRS_LONG,
    VRS_SHORT,
    Encoding,
    Layout,
)
from gateway.dicom.frames import NOTHING, UNKNOWN_END, Frame, Kind, Place, Starved, Verdict
from gateway.dicom.structure import (
    DEPTH_MAX,
    ELEMENTS_MAX,
    FRAGMENTS_MAX,
    VALUE_BYTES_MAX,
    Malformed,
    Outcome,
    Path,
    Reason,
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
        return Walk(encoding, wanted, data=data, end=len(data)).run()
    except Verdict as verdict:
        return verdict.outcome


class Walk(Place):
    """One walk, from where it was left on."""

    def __init__(
        self,
        encoding: Encoding,
        wanted: frozenset[Path],
        *,
        data: memoryview = NOTHING,
        end: int = UNKNOWN_END,
    ) -> None:
        whole = Frame(
            kind=Kind.ELEMENTS, end=end, layout=LAYOUTS[encoding], wanted=_wanted_in(wanted, ())
        )
        super().__init__(whole, data)
        self.found: dict[Path, bytes] = {}
        self._paths = wanted
        self._elements_count = self._items_count = self._fragments_count = self._depth = 0

    def run(self) -> Walked:
        """Walk to the end; raises `Verdict` where that is not possible.

        And, where the end is not known: `Starved` if the window ends before, `Padded`.
        """
        if not self.position:
            self._check_byte_order()
        while self._stack:
            frame = self._stack[-1]
            if frame.kind is Kind.ELEMENTS:
                self._elements(frame)
            elif frame.kind is Kind.ITEMS:
                self._item(frame)
            else:
                self._fragments(frame)
        return Walked(elements=self.found)

    def _check_byte_order(self) -> None:
        # No group 0800 exists: it is 0008, the first group of every data set, swapped.
        if self._available >= _HEADER_BYTES:
            if self._stack[0].layout.item(self._data, 0)[0] == 0x0800:
                raise Verdict(Malformed(reason=Reason.WRONG_BYTE_ORDER))
        elif self._available < self._end:
            raise Starved

    def _elements(self, frame: Frame) -> None:
        """Read elements until a container opens among them or their own ends."""
        data, end, wanted, layout = self._data, frame.end, frame.wanted, frame.layout
        header, implicit, base = layout.header, layout.implicit, self._base
        position, vr, limit = self.position, b"", min(frame.end, self._available)
        while limit - position >= _HEADER_BYTES:
            value = position + _HEADER_BYTES
            if implicit:
                group, element, length = header(data, position - base)
            else:
                group, element, vr, length = header(data, position - base)
            tag = group << 16 | element
            self.position = position
            if group == 0xFFFE or tag == 0:
                return self._delimiter(frame, tag)
            is_plain = vr in VRS_SHORT  # neither of undefined length nor a sequence
            if not (is_plain or implicit):
                length = self._long_length(frame, vr, value)
                value += 4
            self._elements_count += 1
            if self._elements_count > ELEMENTS_MAX:
                raise Verdict(Malformed(reason=Reason.TOO_MANY_ELEMENTS))
            if not is_plain and (length == _UNDEFINED or self._holds_items(frame, tag, vr)):
                return self._open(frame, tag=tag, vr=vr, value=value, length=length)
            if length > end - value:
                raise self._overrun(frame, value + length)
            if tag in wanted:
                self._keep((*frame.prefix, tag), value, min(length, VALUE_BYTES_MAX))
            position = value + length
        self.position = position
        if limit < end:
            raise Starved
        return self._close_elements(frame)

    def _keep(self, path: Path, value: int, length: int) -> None:
        if self._available - value < length:
            self._elements_count -= 1  # counted again with the window that has all of it
            raise Starved
        start = value - self._base
        self.found[path] = bytes(self._data[start : start + length])

    def _long_length(self, frame: Frame, vr: bytes, offset: int) -> int:
        if vr not in VRS_LONG:
            raise self._uncertain()
        self._need(frame, offset, 4)
        (length,) = frame.layout.long_length(self._data, offset - self._base)
        return int(length)

    def _holds_items(self, frame: Frame, tag: int, vr: bytes) -> bool:
        if frame.layout.implicit:
            return tag in SEQUENCE_TAGS
        # A writer that does not know the tag sends UN; only a wanted sequence is worth the guess.
        if vr != b"UN":
            return vr == b"SQ"
        return len(self._stack) == 1 and bool(_wanted_in(self._paths, (tag,)))

    def _open(self, frame: Frame, *, tag: int, vr: bytes, value: int, length: int) -> None:
        """Open the sequence or the encapsulated value whose value field begins at `value`."""
        defined = length != _UNDEFINED
        if defined and length > frame.end - value:
            raise self._overrun(frame, value + length)
        kind, layout, guessed = self._inside(frame, tag, vr)
        if kind is Kind.ITEMS:
            self._depth += 1
            if self._depth > DEPTH_MAX:
                raise Verdict(Malformed(reason=Reason.TOO_DEEP))
        top = len(self._stack) == 1
        self._stack.append(
            Frame(
                kind=kind,
                end=value + length if defined else frame.end,
                layout=layout,
                defined=defined,
                guessed=guessed,
                prefix=(tag,) if top else (),
                wanted=_wanted_in(self._paths, (tag,)) if top else frozenset(),
            )
        )
        self.position = value

    def _inside(self, frame: Frame, tag: int, vr: bytes) -> tuple[Kind, Layout, bool]:
        """What a container of this VR holds, how it is written, and whether that is a guess."""
        if frame.layout.implicit:
            if tag == _PIXEL_DATA:
                raise self._uncertain()
            return Kind.ITEMS, frame.layout, frame.guessed
        if vr == b"SQ":
            return Kind.ITEMS, frame.layout, frame.guessed
        if vr == b"UN":
            # PS3.5 6.2.2: what has become UN is implicit little endian inside.
            return Kind.ITEMS, LAYOUTS[Encoding.IMPLICIT_LITTLE], True
        if vr in VRS_ENCAPSULATING:
            return Kind.FRAGMENTS, frame.layout, frame.guessed
        raise self._uncertain()

    def _item(self, frame: Frame) -> None:
        """Read one item's header, or the end of the sequence."""
        start = self.position
        if frame.defined and start == frame.end:
            return self._close_sequence(start)
        self._need(frame, start, _HEADER_BYTES)
        group, element, length = frame.layout.item(self._data, start - self._base)
        tag = group << 16 | element
        start += _HEADER_BYTES
        if tag == _SEQUENCE_END:
            # Within a defined length it is superfluous, and what follows it means nothing.
            return self._close_sequence(frame.end if frame.defined else start)
        if tag != _ITEM:
            raise self._uncertain()
        self._items_count += 1
        if self._items_count > ELEMENTS_MAX:
            raise Verdict(Malformed(reason=Reason.TOO_MANY_ELEMENTS))
        defined = length != _UNDEFINED
        if defined and length > frame.end - start:
            raise self._overrun(frame, start + length)
        self._stack.append(
            Frame(
                kind=Kind.ELEMENTS,
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
        self._stack.pop()
        self._depth -= 1
        self.position = position

    def _fragments(self, frame: Frame) -> None:
        """Skip the fragments of an encapsulated value by their lengths (PS3.5 A.4)."""
        data, base, end, item = self._data, self._base, frame.end, frame.layout.item
        position, limit = self.position, min(end, self._available)
        while limit - position >= _HEADER_BYTES:
            group, element, length = item(data, position - base)
            tag = group << 16 | element
            self.position = position
            position += _HEADER_BYTES
            if tag == _SEQUENCE_END:
                self._stack.pop()
                self.position = position
                return
            if tag != _ITEM or length == _UNDEFINED:
                raise self._uncertain()
            self._fragments_count += 1
            if self._fragments_count > FRAGMENTS_MAX:
                raise Verdict(Malformed(reason=Reason.TOO_MANY_ELEMENTS))
            if length > end - position:
                raise self._overrun(frame, position + length)
            position += length
        self.position = position
        raise Starved if limit < end else self._cut(frame)

    def _delimiter(self, frame: Frame, tag: int) -> None:
        """Something with a tag of delimiters, or of zeros, where an element should be."""
        nested = len(self._stack) > 1
        if tag == _ITEM_END and nested:
            self.position = frame.end if frame.defined else self.position + _HEADER_BYTES
        elif tag != 0 or nested or not self._only_zeros_left():
            raise self._uncertain()
        self._stack.pop()

    def _close_elements(self, frame: Frame) -> None:
        whole = frame.defined and self.position == frame.end
        padded = len(self._stack) == 1 and self._only_zeros_left()
        if not whole and not padded:
            raise self._cut(frame)
        self._stack.pop()


@lru_cache(maxsize=1_024)
def _wanted_in(paths: frozenset[Path], prefix: Path) -> frozenset[int]:
    """The last tags of those paths that are `prefix` and one tag more."""
    return frozenset(path[-1] for path in paths if path[:-1] == prefix)
