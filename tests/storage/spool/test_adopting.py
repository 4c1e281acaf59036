"""Bringing a spool from another host: nothing of it is lost, and nobody's own is taken."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest

from storage.spool import SpoolLocked, SpoolUnavailable, SpoolUnsuitable, adopting
from tests.storage.spool.kit import ID, bodies, body, open_spool, put


def _left_behind(root: Path) -> Path:
    with open_spool(root) as spool:
        lease = spool.lease()
        for number in range(3):
            put(lease, body(number, 5_000))
        lease.end()
    return root / ID


def test_a_spool_moves_with_all_it_holds(tmp_path: Path) -> None:
    """The next worker that opens it there files it."""
    left = _left_behind(tmp_path / "old")

    brought = adopting.bring(left, tmp_path / "new")

    assert brought == tmp_path / "new" / ID
    assert not left.exists()
    with open_spool(tmp_path / "new") as spool:
        assert bodies(spool) == [body(number, 5_000) for number in range(3)]


def test_a_spool_on_another_volume_is_copied_then_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that was cut short earlier is begun again; the name comes last."""
    left = _left_behind(tmp_path / "old")
    other = Path("/dev/shm") / f"spool-test-{uuid.uuid4()}"  # noqa: S108 - a volume of its own
    if not other.parent.is_dir() or other.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second volume here")
    monkeypatch.chdir(tmp_path)
    try:
        (other / f"arriving-{ID}").mkdir(parents=True)
        brought = adopting.bring(left, other)
        assert [path.name for path in other.iterdir()] == [ID]
        assert not left.exists()
        with open_spool(brought.parent) as spool:
            assert bodies(spool) == [body(number, 5_000) for number in range(3)]
    finally:
        shutil.rmtree(other)


def test_a_spool_that_a_process_holds_stays_where_it_is(tmp_path: Path) -> None:
    """It may be taking records in."""
    with open_spool(tmp_path / "old") as spool, pytest.raises(SpoolLocked):
        adopting.bring(spool.directory, tmp_path / "new")
    assert (tmp_path / "old" / ID).is_dir()


def test_what_is_no_spool_is_refused_untouched(tmp_path: Path) -> None:
    """A wrong directory must not be moved into the gateway's data."""
    named = tmp_path / str(uuid.uuid4())
    named.mkdir()
    for wrong in (tmp_path / "nowhere", tmp_path, named):
        with pytest.raises(SpoolUnsuitable):
            adopting.bring(wrong, tmp_path / "new")
    assert list(named.iterdir()) == []


def test_a_spool_of_that_name_is_never_replaced(tmp_path: Path) -> None:
    """A copy was brought before; one that is in place already stays."""
    left, there = _left_behind(tmp_path / "old"), _left_behind(tmp_path / "new")
    with pytest.raises(SpoolUnavailable):
        adopting.bring(left, tmp_path / "new")
    assert left.is_dir()

    assert adopting.bring(there, tmp_path / "new") == there
