"""The settings as frozen values: every key with its default, meaning, unit and limits.

Start reading here. Nothing else in the package repeats a default or a limit: the catalogue, the
error messages and `tollgate config show` are derived from these models, and a test compares the
annotated example with them.
"""

# tidy: long because every key, its default and its limits stand in one place

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_HOST = r"^[A-Za-z0-9._:%-]{1,253}$"
_HOST_ALLOWED = "a host name or an IPv4 or IPv6 address (without brackets)"
_BUCKET = r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?)?$"
_ENDPOINT = r"^(https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/?)?$"
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SQLITE = "sqlite:///"
_POSTGRESQL = re.compile(
    r"postgres(?:ql)?(?:\+psycopg)?://(?P<rest>[^/?#\s]*/[^/?#\s]+(?:\?[^#\s]*)?)"
)


def _key(
    default: object,
    doc: str,
    *,
    unit: str = "",
    allowed: str = "",
    secret: bool = False,
    **limits: Any,
) -> Any:
    """Declare one key; `allowed` is written only where type and limits do not say it already."""
    extra: dict[str, Any] = {"unit": unit, "allowed": allowed, "secret": secret}
    return Field(default, description=doc, json_schema_extra=extra, **limits)


def _seconds(default: float, doc: str, *, ge: float, le: float) -> Any:
    # Both limits always: they also keep out inf and nan, which TOML can write.
    return _key(default, doc, unit="seconds", ge=ge, le=le)


def _trimmed_ae_title(text: str) -> str:
    # PS3.5 6.2, VR AE: at most 16 characters, no backslash, outer spaces are not significant.
    title = text.strip(" ")
    if not _AE_TITLE.fullmatch(title):
        raise ValueError
    return title


def _plain_path(text: str) -> Path:
    # "~" would need HOME, an environment variable that an injected environment does not have.
    # "?" starts the query part of an SQLite URL, so a directory with one could not be opened.
    if not text or text.startswith("~"):
        raise ValueError
    try:
        path = Path(text).resolve()
    except (OSError, RuntimeError) as error:  # a loop of links, a deleted working directory
        raise ValueError from error
    if "?" in str(path) or _CONTROL.search(str(path)):
        raise ValueError
    return path


def _path_or_empty(text: str) -> str:
    return str(_plain_path(text)) if text else ""


def _absolute_directory(value: object) -> object:
    return _plain_path(str(value)) if isinstance(value, str | Path) else value


def _database_url(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value()
    if not url:
        return secret
    if (match := _POSTGRESQL.fullmatch(url)) is not None:
        # The driver's name is our affair; one spelling of it leaves this package.
        return SecretStr(f"postgresql+psycopg://{match['rest']}")
    path = url.removeprefix(_SQLITE)
    # No query part and no "file:" name: either can ask SQLite for less than WAL and FULL
    # (nolock, immutable, vfs). No ":memory:": what is acknowledged must be stored.
    if path == url or path.startswith(("file:", ":")):
        raise ValueError
    return SecretStr(f"{_SQLITE}{_plain_path(path)}")


class _Section(BaseModel):
    """What all settings share: frozen, exact types, nothing unknown, no value in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


class DatabaseSettings(_Section):
    """Where the ledger and the index live. Use `Settings.database_url`, which is never empty."""

    url: Annotated[SecretStr, AfterValidator(_database_url)] = _key(
        SecretStr(""),
        "Database URL; empty means SQLite in tollgate.sqlite3 under data_dir",
        allowed="empty, sqlite:///PATH without a query part, or "
        "postgresql://[USER[:PASSWORD]@][HOST][:PORT]/NAME[?PARAMETERS]",
        secret=True,
    )


class DicomSettings(_Section):
    """The DICOM listener (storage SCP)."""

    host: str = _key(
        "127.0.0.1",
        "Address to listen on for DICOM; 0.0.0.0 is every IPv4 interface",
        allowed=_HOST_ALLOWED,
        pattern=_HOST,
    )
    port: int = _key(11112, "TCP port for DICOM; 0 takes any free one", ge=0, le=65535)
    ae_title: Annotated[str, AfterValidator(_trimmed_ae_title)] = _key(
        "TOLLGATE",
        "The gateway's own AE title; institutions may have further ones",
        allowed="1 to 16 printable ASCII characters without backslash, outer spaces ignored",
    )
    workers: int = _key(
        0, "Processes that take instances in; 0 is one per core", unit="processes", ge=0, le=64
    )
    # An association is a thread with a socket and, while it stores, a file and its buffers.
    associations_max: int = _key(
        100,
        "Associations open at once; one more is rejected with 2/3/2",
        unit="associations",
        ge=1,
        le=4096,
    )
    associations_per_source_max: int = _key(
        50,
        "Associations open at once from one address; one more is rejected with 2/3/2",
        unit="associations",
        ge=1,
        le=4096,
    )
    # 4 KiB is the least that DCMTK speaks. 0 (PS3.8 D.1: unlimited) would be no limit.
    pdu_length_max_bytes: int = _key(
        256 * KIB,
        "Longest P-DATA PDU announced to and accepted from a device",
        unit="bytes",
        ge=4 * KIB,
        le=4 * MIB,
    )
    associate_timeout_s: float = _seconds(
        10.0, "Time from the connection to its complete A-ASSOCIATE-RQ", ge=0.1, le=60
    )
    network_timeout_s: float = _seconds(
        60.0, "Time an open association may stay silent before it is aborted", ge=0.1, le=3600
    )
    dimse_timeout_s: float = _seconds(
        30.0, "Time to wait for a DIMSE message that makes no progress (1 KB/s)", ge=0.1, le=600
    )
    # Uncompressed Pixel Data is one element with a 32-bit length: 4 GiB holds nearly all there is.
    instance_size_max_bytes: int = _key(
        4 * GIB, "Largest data set accepted; a larger one is refused", unit="bytes", ge=1, le=TIB
    )
    offer_deflated: bool = _key(
        False, "Accept Deflated Explicit VR Little Endian; a small object can inflate to a huge one"
    )

    @property
    def worker_count(self) -> int:
        """How many worker processes there are."""
        return self.workers or len(os.sched_getaffinity(0))


class HttpSettings(_Section):
    """The listener of metrics and health probes."""

    host: str = _key(
        "127.0.0.1",
        "Address to listen on for HTTP; 0.0.0.0 is every IPv4 interface",
        allowed=_HOST_ALLOWED,
        pattern=_HOST,
    )
    port: int = _key(8080, "TCP port for HTTP; 0 takes any free one", ge=0, le=65535)


class ExaminationSettings(_Section):
    """How instances become examinations."""

    quiet_period_s: float = _seconds(
        60.0,
        "Time without a new instance after which an examination is complete",
        ge=0.1,
        le=86400,
    )


class ArchiveSettings(_Section):
    """Where stored instances are: a directory below data_dir, or an S3-compatible store."""

    url: str = _key(
        "",
        "Bucket and prefix of a remote archive; empty means the directory archive under data_dir",
        allowed="empty, or s3://BUCKET[/PREFIX] with letters, digits and . _ - in it",
        pattern=_BUCKET,
    )
    endpoint: str = _key(
        "",
        "Address of the S3-compatible store; empty means AWS_ENDPOINT_URL, or Amazon's own",
        allowed="empty, or http://HOST[:PORT] or https://HOST[:PORT]",
        pattern=_ENDPOINT,
    )
    region: str = _key(
        "",
        "Region of the bucket; empty means AWS_REGION",
        allowed="empty, or a region's name",
        pattern=r"^[A-Za-z0-9-]{0,63}$",
    )
    access_key_id: SecretStr = _key(
        SecretStr(""),
        "Who asks the remote archive; empty means AWS_ACCESS_KEY_ID or the host's own role",
        allowed="any text",
        secret=True,
    )
    secret_access_key: SecretStr = _key(
        SecretStr(""),
        "The key's secret; empty means AWS_SECRET_ACCESS_KEY or the host's own role",
        allowed="any text",
        secret=True,
    )
    # Room for the database's log and checkpoint, and for 100 associations with a 10 MB instance
    # in flight each: what was begun ends well after new work is turned away.
    free_bytes_min: int = _key(
        GIB,
        "Free space below which associations are rejected with 2/3/1 and stores answered 0xA700; "
        "0 turns the check off",
        unit="bytes",
        ge=0,
        le=1024 * TIB,
    )
    quarantine_age_max_s: float = _seconds(
        90 * 86_400,
        "Time after which an instance that was set aside and that nobody decided on is removed",
        ge=86_400,
        le=3650 * 86_400,
    )
    quarantine_bytes_max: int = _key(
        50 * GIB,
        "Most that instances set aside may take together; beyond it the oldest are removed",
        unit="bytes",
        ge=0,
        le=1024 * TIB,
    )


class SpoolSettings(_Section):
    """Where acknowledged instances wait until they are filed, and what counts as acknowledged."""

    dir: Annotated[str, AfterValidator(_path_or_empty)] = _key(
        "",
        "Directory of the spools, on a local disk; empty means spool under data_dir",
        allowed='empty, or a directory path that does not begin with "~" '
        'and has no "?" or control character',
    )
    segment_bytes: int = _key(
        64 * MIB,
        "Room that an association takes at its first store; it grows with a larger instance",
        unit="bytes",
        ge=64 * KIB,
        le=GIB,
    )
    ready_segments: int = _key(
        2,
        "Segments that each worker writes beforehand, so that an association's first syncs cost "
        "half; more as demand shows; 0 means none",
        unit="segments",
        ge=0,
        le=16,
    )
    fill_max_bytes: int = _key(
        0,
        "Most that the spools of this host take; beyond it stores are answered 0xA700 and "
        "associations rejected with 2/3/1; 0 means half of the volume",
        unit="bytes",
        ge=0,
        le=1024 * TIB,
    )
    ack: Literal["spool", "archive"] = _key(
        "spool",
        "What success promises: durable in the spool, or filed in the archive as well, which "
        "waits up to 30 s",
    )
    when_ledger_unreachable: Literal["admit", "refuse"] = _key(
        "admit",
        "New examinations while the database can't be asked: admit them as if in grace and charge "
        "them once it is back, for at most 24 h after the last look at the account; or refuse them",
    )
    # For demonstrations and tests: what is acknowledged there is gone with the machine.
    any_file_system: bool = _key(
        False, "Accept a spool in memory or on a network; not for production, nothing is kept"
    )


class LogSettings(_Section):
    """Logs, written to standard output."""

    level: Literal["debug", "info", "warning", "error"] = _key(
        "info", "Least severe event that is logged"
    )
    format: Literal["auto", "json", "console"] = _key(
        "auto", "Form of a log line; auto is console on a terminal and JSON otherwise"
    )


class ShutdownSettings(_Section):
    """How a gateway ends."""

    # What follows it (aborts, register, keeper, HTTP) may take 10 s more: gone within 25 s, and
    # within the 30 s after which Kubernetes kills.
    drain_timeout_s: float = _seconds(
        15.0,
        "Time after SIGTERM for open associations to finish before they are aborted",
        ge=0,
        le=300,
    )


class Settings(_Section):
    """All settings of one gateway, valid and frozen; made by `load_settings`.

    Tests may build it directly, as in `Settings(data_dir=tmp_path, dicom=DicomSettings(port=0))`.
    Types are exact: a wrong value raises `pydantic.ValidationError`.
    """

    data_dir: Annotated[Path, BeforeValidator(_absolute_directory)] = _key(
        "./tollgate-data",
        "Directory of everything the gateway keeps; relative to the working directory",
        allowed='a directory path that is not empty, does not begin with "~" '
        'and has no "?" or control character',
    )
    catalogue: Annotated[str, AfterValidator(_path_or_empty)] = _key(
        "",
        "TOML file of what is sold and at which prices; empty means the one that is shipped",
        allowed='empty, or the path of a TOML file that does not begin with "~" '
        'and has no "?" or control character',
    )
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    dicom: DicomSettings = Field(default_factory=DicomSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    examination: ExaminationSettings = Field(default_factory=ExaminationSettings)
    archive: ArchiveSettings = Field(default_factory=ArchiveSettings)
    spool: SpoolSettings = Field(default_factory=SpoolSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    shutdown: ShutdownSettings = Field(default_factory=ShutdownSettings)

    @property
    def database_url(self) -> str:
        """The database's URL, always with an absolute path. It is a secret: never log it."""
        default = f"{_SQLITE}{self.data_dir / 'tollgate.sqlite3'}"
        return self.database.url.get_secret_value() or default
