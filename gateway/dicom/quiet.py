"""Keeps pydicom and pynetdicom from saying what they see: their messages quote values."""

from __future__ import annotations

import logging
import warnings

import pydicom.config
from pynetdicom import _config

_SILENT = logging.CRITICAL + 1


def silence_libraries() -> None:
    """Turn off logs and warnings of both libraries in this process; may be called repeatedly.

    They quote data sets, names and UIDs in debug output, warnings and tracebacks. What an operator
    needs to know is told by events of our own, which have no place for a value.
    """
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(_SILENT)
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
    # The handlers that dump every PDU and message are bound when an association is made.
    _config.LOG_HANDLER_LEVEL = "none"
    # "Invalid value for VR UI: '...'": values are judged here, or not at all.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
