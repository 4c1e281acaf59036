"""What an object is known by after it was put: XXH3 over every byte of it.

The SHA-256 on record covers transfer syntax and data set, since the file meta is ours; a bit that
flips in the preamble or the file meta would be nobody's. XXH3 covers them at the price of a copy.
"""

from __future__ import annotations

import xxhash

KIND = "xxh3:"


class Fingerprint:
    """A running fingerprint; its text is `xxh3:` and 32 hexadecimal digits."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._hash = xxhash.xxh3_128()

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the object's next bytes."""
        self.size_bytes += len(chunk)
        self._hash.update(chunk)

    def __str__(self) -> str:
        return KIND + self._hash.hexdigest()
