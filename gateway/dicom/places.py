"""Places for the associations of one process alone; a host of several counts on its board."""

from __future__ import annotations

import threading
from collections import Counter

from gateway.dicom.access import Accepted


class LocalPlaces:
    """So many in all, and so many from one address."""

    def __init__(self, *, associations_max: int, per_source_max: int) -> None:
        self._associations_max = associations_max
        self._per_source_max = per_source_max
        self._lock = threading.Lock()
        self._sources: Counter[str] = Counter()

    def take(self, accepted: Accepted, *, called_ae_title: str, source: str) -> _Place | None:
        """A place for one more association, or None."""
        del accepted, called_ae_title  # counted by the source alone, and shown to nobody
        with self._lock:
            full = self._sources.total() >= self._associations_max
            if full or self._sources[source] >= self._per_source_max:
                return None
            self._sources[source] += 1
            return _Place(self, source)

    def leave(self, source: str) -> None:
        """One from `source` ended."""
        with self._lock:
            self._sources[source] -= 1


class _Place:
    def __init__(self, places: LocalPlaces, source: str) -> None:
        self._places = places
        self._source = source

    def stored(self, size_bytes: int) -> None:
        """Nobody is shown it."""

    def leave(self) -> None:
        """The association has ended."""
        self._places.leave(self._source)
