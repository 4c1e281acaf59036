"""Names of a local archive: temporary ones, keys, and the folders between.

Names are text here: to put Paths together for every object of a batch, and to make folders that
are there, took more of the processor than the writing of small objects.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from storage.archive.syncing import sync_folder

_SYNCED_FOLDERS_MAX = 10_000


class Names:
    """Gives files of `incoming` their names below `root`, in folders of mode 0700."""

    def __init__(self, root: Path) -> None:
        """Make both folders. Raises OSError."""
        self.root = root
        self.incoming = root / "incoming"
        self._numbers = count()
        self._synced: set[Path] = set()
        for folder in (root, self.incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def temporary(self) -> str:
        """A path that nobody else uses."""
        return f"{self.incoming}/{os.getpid()}-{next(self._numbers)}"

    def give(self, temporary: str, key: str, made: set[str]) -> None:
        """Name an object by its key, in folders that a discard may take away at any moment.

        `made` are those that this batch has made or found already. Raises OSError.
        """
        parent = key.rpartition("/")[0]
        for last in (False, False, True):
            if parent not in made:
                for folder in reversed(Path(key).parents):
                    (self.root / folder).mkdir(mode=0o700, exist_ok=True)
                made.add(parent)
            try:
                os.rename(temporary, f"{self.root}/{key}")  # noqa: PTH104 - names are text here
            except FileNotFoundError:
                if last:
                    raise
                made.discard(parent)
            else:
                return

    def give_durably(self, temporary: str, key: str) -> None:
        """Name a single object that is synced, and sync the names. Raises SyncError, OSError."""
        target = self.root / key
        self._make_durably(target.parent)
        Path(temporary).rename(target)
        sync_folder(target.parent)

    def remove_empty(self, key: str) -> None:
        """Remove the folders that a removed object leaves empty. Raises OSError at one with more.

        The first folder of a key stays: all keys share it, and others are being put there.
        """
        for folder in list(Path(key).parents)[:-2]:
            (self.root / folder).rmdir()
            self._synced.discard(self.root / folder)

    def _make_durably(self, folder: Path) -> None:
        """Create `folder`; every new name is synced into its parent, or it may be gone with power.

        A folder that exists says nothing: the thread that made it may not have synced it yet. Only
        a sync that returned in this process counts.
        """
        if folder == self.root or folder in self._synced:
            return
        self._make_durably(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        if len(self._synced) >= _SYNCED_FOLDERS_MAX:
            self._synced.clear()
        self._synced.add(folder)
