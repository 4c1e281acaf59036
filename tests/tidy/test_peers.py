"""The helper for peer programs: what it takes for a peer, and how it misses one."""

from pathlib import Path

import pytest

from tests.peers import find_program, peer


def put_program(folder: Path, name: str, content: bytes) -> Path:
    """Write an executable file *name* into *folder* and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def test_a_script_of_the_same_name_is_no_peer(tmp_path: Path) -> None:
    """pynetdicom's ``storescu`` comes first on an activated PATH and is passed over."""
    put_program(tmp_path / "environment", "storescu", b"#!/usr/bin/python3\n")
    dcmtk = put_program(tmp_path / "debian", "storescu", b"\x7fELF")

    folders = [tmp_path / "absent", tmp_path / "environment", tmp_path / "debian"]

    assert find_program("storescu", folders) == dcmtk
    assert find_program("storescu", folders[:2]) is None


def test_a_missing_peer_skips_with_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a user's machine a missing peer is a skip that says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("TOLLGATE_REQUIRE_PEERS", raising=False)

    with pytest.raises(pytest.skip.Exception, match=r"faketime \(Debian package faketime\)"):
        peer("faketime")


def test_a_missing_peer_fails_where_peers_are_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the build server a missing peer is a failure."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TOLLGATE_REQUIRE_PEERS", "1")

    with pytest.raises(pytest.fail.Exception, match="faketime"):
        peer("faketime")


def test_an_unknown_peer_is_an_error_and_not_a_skip() -> None:
    """A misspelt program does not skip its test for ever."""
    with pytest.raises(LookupError, match="no known peer"):
        peer("storescuu")
