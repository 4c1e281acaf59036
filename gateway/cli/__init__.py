"""The `tollgate` command, one file per noun; no logic."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its status: 0, 1 for a refusal, 2 for wrong usage."""
    import sys

    from gateway.cli.app import app

    # A terminal that can't show a hospital's name shows its escape instead of a traceback.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="tollgate")
