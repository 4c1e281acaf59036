"""Several spools below one root: each is somebody's, and nobody's twice."""

from __future__ import annotations

from pathlib import Path

from storage.spool import Spool, spools
from tests.storage.spool.kit import FILL_MAX_BYTES, bodies, open_spool, put


def test_every_spool_is_somebodys(tmp_path: Path) -> None:
    """However many workers there are now: none is left alone, none is given twice."""
    five = spools.deal(tmp_path, 5)
    assert [len(share) for share in five] == [1] * 5
    for share in five:
        with Spool.open(share[0], fill_max_bytes=FILL_MAX_BYTES, any_file_system=True) as spool:
            assert spool.id.hex
    (tmp_path / "something else").mkdir()
    two = spools.deal(tmp_path, 2)
    assert sorted(two[0] + two[1]) == sorted(share[0] for share in five)
    assert spools.deal(tmp_path, 2) == two


def test_adopting_leaves_alone_what_others_hold(tmp_path: Path) -> None:
    """And makes a spool where there is none to be had."""
    with open_spool(tmp_path) as held:
        put(held.lease(), b"theirs")
        (mine,) = spools.adopt(tmp_path, any_file_system=True, fill_max_bytes=FILL_MAX_BYTES)
        assert mine.id != held.id
        mine.close()
    both = spools.adopt(tmp_path, any_file_system=True, fill_max_bytes=FILL_MAX_BYTES)
    assert {spool.id for spool in both} == {mine.id, held.id}
    assert sorted(content for spool in both for content in bodies(spool)) == [b"theirs"]
    for spool in both:
        spool.close()
