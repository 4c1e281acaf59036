"""Processes whose wall clock is shifted by libfaketime; the monotonic clock is left alone."""

from pathlib import Path

from tests.peers import peer


def shifted_clock(offset: str) -> dict[str, str]:
    """The environment for a wall clock shifted by `offset` ("+24h", "+3d", "-1h").

    The library is preloaded directly: the `faketime` program would stand between a test and the
    signals that it sends.
    """
    peer("faketime")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": offset,
        "DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(Path(__file__).parent / "faketime_site"),
    }
