"""Text in, values out: the settings of a gateway and where each of them came from.

This is the whole public surface of the package. Of the project's other packages it imports quota's
values alone.
"""

from config.example import example_path, example_text
from config.load import Setting, explain, load_settings
from config.problem import Problem, SettingsError
from config.products import load_catalogue
from config.settings import (
    ArchiveSettings,
    DatabaseSettings,
    DicomSettings,
    ExaminationSettings,
    HttpSettings,
    LogSettings,
    Settings,
    ShutdownSettings,
)

__all__ = [
    "ArchiveSettings",
    "DatabaseSettings",
    "DicomSettings",
    "ExaminationSettings",
    "HttpSettings",
    "LogSettings",
    "Problem",
    "Setting",
    "Settings",
    "SettingsError",
    "ShutdownSettings",
    "example_path",
    "example_text",
    "explain",
    "load_catalogue",
    "load_settings",
]
