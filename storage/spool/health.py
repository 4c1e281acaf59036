"""Whether the spool may still acknowledge: a failed sync is final (reliability §1)."""

from __future__ import annotations

from collections.abc import Callable

from storage.errors import StorageError
from storage.spool.disk import FULL
from storage.spool.errors import SpoolFull, SpoolSick


class Health:
    """`sick` once a sync or a write has failed; `told` is then called, once or more."""

    def __init__(self, told: Callable[[], None]) -> None:
        self.sick = False
        self._told = told

    def require(self) -> None:
        """Raise SpoolSick after a failed sync."""
        if self.sick:
            raise SpoolSick

    def sync(self, call: Callable[[int], None], descriptor: int) -> None:
        """Make something durable; whatever goes wrong with that is final. Raises SpoolSick.

        A sync that returned while another one failed is not believed either.
        """
        self.require()
        try:
            call(descriptor)
        except OSError as error:
            self._fail()
            raise SpoolSick from error
        self.require()

    def broken(self, error: OSError) -> StorageError:
        """What a failed write means: the disk is full, or it is broken, which is final."""
        if error.errno in FULL:
            return SpoolFull()
        self._fail()
        return SpoolSick()

    def _fail(self) -> None:
        self.sick = True
        self._told()
