"""Logs: past-tense facts with ids, from an allow-list of fields (design.md §8).

JSON to stdout, a console renderer on a terminal. What is not on the list is dropped, so a patient
can't slip in through a field; what libraries log is cut down to who said something, so a patient
can't slip in through a message, a warning or a traceback either.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

import structlog

FIELDS = frozenset(
    {
        "account_id", "address", "allowed", "associations", "bytes", "called_ae_title",
        "calling_ae_title", "charge", "component", "count", "data_dir", "device_id", "dropped",
        "duration_s", "error", "event", "examination_id", "institution_id", "kind", "level",
        "library", "meter", "order_number", "outcome", "pid", "port", "reason", "rule", "signal",
        "source", "status", "stores", "timestamp", "version", "violations", "where",
    }
)  # fmt: skip
_TEXT_LENGTH_MAX = 200
_FRAMES_MAX = 12


def configure(*, level: str, console: bool, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging for this process."""
    stream = stream or sys.stdout
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            allow_listed,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_level(level)),
        # One write a line: several processes share the stream.
        logger_factory=structlog.WriteLoggerFactory(_Unfailing(stream)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _excepthook
    threading.excepthook = _thread_excepthook


def get_logger(component: str) -> Any:
    """A logger whose facts carry the component's name; it stays as `configure` says by now.

    Bound at once: structlog's lazy one makes a logger at each line, even for a level that is off.
    """
    return structlog.get_logger(component=component).bind()


def allow_listed(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep the fields on the list, cut long texts, and say which fields were dropped."""
    dropped = sorted(set(event) - FIELDS)
    kept = {name: _value(value) for name, value in event.items() if name in FIELDS}
    if dropped:
        kept["dropped"] = dropped
    return kept


def where(error: BaseException) -> list[str]:
    """The frames of a traceback as file:line in function, innermost last, without any value."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]


def _value(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)  # to the microsecond
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple):
        return [_value(item) for item in value[:_FRAMES_MAX]]
    return str(value)[:_TEXT_LENGTH_MAX]


def _level(name: str) -> int:
    return logging.getLevelNamesMapping()[name.upper()]


class _Unfailing:
    """A stream whose failures end nothing: the disk below a log may be full, the reader gone.

    What was stored durably must be acknowledged, whether or not a line about it can be written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write if possible."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class _LibraryHandler(logging.Handler):
    """Says that a library said something, not what: its messages may quote a data set."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        get_logger("library").log(
            record.levelno,
            "library_logged",
            library=record.name,
            where=[f"{record.pathname}:{record.lineno} in {record.funcName}"],
            error=type(error).__name__ if error else None,
        )


def _excepthook(
    kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    get_logger("process").critical("process_failed", error=kind.__name__, where=where(error))


def _thread_excepthook(arguments: threading.ExceptHookArgs) -> None:
    error = arguments.exc_value
    get_logger("thread").error(
        "thread_failed",
        error=arguments.exc_type.__name__,
        where=where(error) if error else [],
    )
