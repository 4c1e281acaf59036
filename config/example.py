"""The annotated example file that is shipped with the package."""

from __future__ import annotations

from pathlib import Path


def example_path() -> Path:
    """Return the path of the annotated example (TOML, UTF-8)."""
    return Path(__file__).with_name("tollgate.example.toml")


def example_text() -> str:
    """Return the annotated example; as it stands it sets nothing, for every key is commented."""
    return example_path().read_text(encoding="utf-8")
