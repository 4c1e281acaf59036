"""Text in, values out: the settings of a gateway and where each of them came from.

This is the whole public surface of the package. It imports no other package of the project.
"""

from config.example import example_path, example_text
from config.load import Setting, explain, load_settings
from config.problem import Problem, SettingsError
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
    "load_settings",
]
