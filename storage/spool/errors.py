"""What can go wrong with a spool."""

from __future__ import annotations

from storage.errors import StorageError


class SpoolFull(StorageError):
    """The spool is full, or its disk is; nothing of the record counts."""


class SpoolSick(StorageError):
    """A sync of the spool failed; nothing more is acknowledged by this process."""


class SpoolLocked(StorageError):
    """Another process holds this spool."""


class SpoolUnsuitable(StorageError):
    """This directory can't hold a spool: what is acknowledged there would not be kept."""


class SpoolUnavailable(StorageError):
    """The spool can't be read or written."""


class SpoolUnknown(StorageError):
    """The spool was written by a newer version of Tollgate and can't be used by this one."""


class HeaderTooLarge(StorageError):
    """The record's header is larger than a record may carry."""


class RecordDamaged(StorageError):
    """A record of the spool is not what was written; its segment is kept."""
