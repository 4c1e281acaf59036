"""A segment begins anew under another lease: nobody may see old bits under the new key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from storage.spool.record import LeaseKey
from storage.spool.segment import Segment


class _Watched(Segment):
    """Notes at each change what somebody else would see at that moment."""

    seen: ClassVar[list[tuple[LeaseKey, bytes]]] = []

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if hasattr(self, "key") and hasattr(self, "bits"):
            self.seen.append((self.key, bytes(self.bits)))


def test_no_record_of_a_new_lease_is_taken_for_released_before() -> None:
    """The filer may note released records while an association's thread takes the segment."""
    old, new = (LeaseKey(nonce=os.urandom(16), generation=number) for number in (1, 2))
    segment = _Watched(Path("00000001.segment"), size_bytes=1 << 16, key=old)
    segment.append(offset=32_768, end=36_864, received_at=1)
    segment.release(0)
    segment.seen.clear()
    segment.forget(new)
    assert segment.key == new
    assert {bits for key, bits in segment.seen if key == new} == {b""}
