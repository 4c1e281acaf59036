"""The exceptions of storage: one base; the docstring is the default message."""

from __future__ import annotations


class StorageError(Exception):
    """Storage could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().rstrip("."))


class LedgerUnavailable(StorageError):
    """The database can't be reached, is locked, or failed."""


class DurabilityTooWeak(StorageError):
    """The database would not keep what it acknowledges; refusing to start."""


class SchemaUnknown(StorageError):
    """The database was written by another version of Tollgate and can't be used by this one."""


class ArchiveFull(StorageError):
    """The archive's disk is full."""


class ArchiveUnavailable(StorageError):
    """The archive can't be reached, read or written."""


class ObjectMissing(StorageError):
    """The archive has no such object."""


class ObjectUnreadable(ArchiveUnavailable):
    """The archive's disk can't read the object."""


class ArchiveSick(StorageError):
    """A sync of the archive failed; nothing more is acknowledged by this process."""


class NameTaken(StorageError):
    """The name is taken."""


class NotFound(StorageError):
    """There is no such thing."""


class Ambiguous(StorageError):
    """The registration could not be told from another one."""
