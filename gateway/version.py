"""The version, as the installed distribution says it."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("dicom-tollgate")
