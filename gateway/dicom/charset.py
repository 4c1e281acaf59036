"""Text for the index: decoding that never fails, whatever the label says (PS3.5 6.1, PS3.3 C.12).

Nothing decoded here decides anything (KEY-2); it helps staff to find a study. Labels lie: GBK bytes
under ISO_IR 100, or under no label, are common. A label is believed unless the bytes speak against
it clearly.
"""

from __future__ import annotations

import re
from codecs import lookup

from pydicom.charset import decode_bytes, python_encoding
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

TEXT_CHARACTERS_MAX = 256
"""What the index keeps of a value; LO has 64 characters at most, a PN three times that."""

_ESC = b"\x1b"
_LATIN_1 = "latin_1"
_PADDING = b" \0"


def _key(label: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", label.upper())


# Spelling is as loose as labels are: "ISO-IR 100", "ISO IR 100", "iso_ir_100" are one label here.
_ENCODINGS = {_key(label): encoding for label, encoding in python_encoding.items()} | {
    "UTF8": "utf-8",
    "GB2312": "gb18030",
    "GBK": "gb18030",
    "ISO2022GBK": "gb18030",
    "ISO2022IR58": "iso_ir_58",
}
_SINGLE_BYTE_DEFAULTS = frozenset(("iso8859-1",))
_ESCAPE_SEQUENCE = re.compile(r"\x1b[\x20-\x2f]*[\x30-\x7e]?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_HANZI_RUN = re.compile(rb"(?:[\xb0-\xf7][\xa1-\xfe])+")


def decode_text(raw: bytes, character_set: bytes) -> str:
    """Decode one value of LO, SH, CS, DA; `character_set` is the raw value of (0008,0005).

    Returns at most `TEXT_CHARACTERS_MAX` characters without padding or control characters. Never
    raises.
    """
    return _tidy(_decode(raw.strip(_PADDING), character_set, TEXT_VR_DELIMS))


def decode_person_name(raw: bytes, character_set: bytes) -> str:
    """Decode a PN: its three groups may each switch character sets (PS3.5 6.2.1.2).

    The same promises as `decode_text`; trailing empty groups are left out.
    """
    groups = raw.strip(_PADDING).split(b"=")
    return _tidy("=".join(_decode(group, character_set, PN_DELIMS) for group in groups)).rstrip("=")


def _decode(raw: bytes, character_set: bytes, delimiters: set[int]) -> str:
    escaped = _ESC in raw
    if raw.isascii() and not escaped:
        return raw.decode("ascii")
    declared = _declared(character_set)
    if escaped:
        # Code extensions, where pydicom knows every corner.
        return decode_bytes(raw, [encoding or _LATIN_1 for encoding in declared], delimiters)
    first = declared[0]
    if first is not None and lookup(first).name not in _SINGLE_BYTE_DEFAULTS:
        candidates = [first, "utf-8", "gb18030"]
    else:
        # A multi-byte set that was declared second, and is used without its escape sequence.
        candidates = [encoding for encoding in declared[1:] if encoding is not None]
        candidates.append("utf-8")
        if first is None or not character_set.strip(_PADDING) or _looks_chinese(raw):
            candidates.append("gb18030")
    for candidate in candidates:
        try:
            return raw.decode(candidate)
        except UnicodeError:
            continue
    return raw.decode(first or _LATIN_1, errors="replace")


def _declared(character_set: bytes) -> list[str | None]:
    """Python's names of the declared encodings; None for a label that nobody knows."""
    labels = character_set.strip(_PADDING).decode(_LATIN_1).split("\\")
    return [_ENCODINGS.get(_key(label)) for label in labels]


def _looks_chinese(raw: bytes) -> bool:
    """Whether every high byte is half of a GB2312 ideograph, and there are at least two of them.

    In Latin-1 that would take runs of accented letters of even length, as no name has them.
    """
    runs = _HIGH_RUN.findall(raw)
    return sum(map(len, runs)) >= 4 and all(_HANZI_RUN.fullmatch(run) for run in runs)


def _tidy(text: str) -> str:
    # pydicom leaves the escape sequence of ISO 2022 IR 58 in what it decodes. Control characters
    # have no meaning in an index, and PostgreSQL takes no NUL.
    text = _CONTROL.sub("", _ESCAPE_SEQUENCE.sub("", text))
    return text.strip()[:TEXT_CHARACTERS_MAX]
