"""The catalogue as a file: the shipped one is whole, a site's own is checked and explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import Settings, SettingsError, load_catalogue, load_settings
from quota.catalogue import Catalogue, Per
from quota.service_term import ServiceKind

WHOLE = """
currency = "CNY"
[exam]
en = "Examinations"
zh = "例次"
price = { exam_5_years = 7 }
"""


def read(folder: Path, text: str | bytes) -> Catalogue:
    """The catalogue in a file of this text."""
    file = folder / "products.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_catalogue(load_settings(environ={"TOLLGATE_CATALOGUE": str(file)}))


def test_the_shipped_catalogue_sells_what_the_domain_names() -> None:
    """Three AI products per call, three without limit, the edition, its options, the services."""
    catalogue = load_catalogue(Settings())

    assert catalogue.price("exam", Per.EXAM_5_YEARS) is not None
    assert catalogue.price("capacity", Per.TB_YEAR) is not None
    assert set(catalogue.named("ai:", Per.CALL)) == {"glaucoma", "pneumonia", "report-assistant"}
    assert set(catalogue.named("ai:", Per.UNLIMITED)) == {"glaucoma", "pneumonia", "colorectal"}
    assert len(catalogue.named("licence:", Per.YEAR)) == 1 + 9
    assert len(catalogue.items["licence:basic"].includes) == 7
    services = {*catalogue.named("service:", Per.ONCE), *catalogue.named("service:", Per.MONTH)}
    assert services == set(ServiceKind)
    assert all(item.title_en and item.title_zh for item in catalogue.items.values())


def test_a_file_of_ones_own_replaces_the_shipped_one(tmp_path: Path) -> None:
    """As a whole: what it doesn't list is not sold."""
    catalogue = read(tmp_path, WHOLE + "[licence.basic]\nen='B'\nzh='基'\nprice={year=1}\n")

    assert catalogue.price("exam", Per.EXAM_5_YEARS) == 7
    assert catalogue.price("licence:basic", Per.YEAR) == 1
    assert catalogue.price("capacity", Per.TB_YEAR) is None


@pytest.mark.parametrize(
    "change, says",
    [
        (('"CNY"', '"yuan"'), "currency"),
        (('"CNY"', "7"), "currency"),
        (('"CNY"', '"CNY"\ndecimals = 9'), "decimals"),
        (("exam_5_years = 7", "exam_5_years = 7.5"), "whole number"),
        (("exam_5_years = 7", "exam_5_years = true"), "whole number"),
        (("exam_5_years = 7", "exam_5_years = -1"), "from 0"),
        (("exam_5_years = 7", "year = 7"), "exam.price.year"),
        (("{ exam_5_years = 7 }", "{}"), "exam.price"),
        (("{ exam_5_years = 7 }", "7"), "exam.price"),
        (('en = "Examinations"', ""), "exam.en"),
        (('zh = "例次"', 'zh = ""'), "exam.zh"),
        (('zh = "例次"', 'zh = "例次"\nprise = 1'), "exam.prise"),
        (("[exam]", "[exams]"), "exams"),
        (("[exam]", "[ai]"), "ai.en"),
        (("[exam]", "[ai.Glaucoma_2]"), "ai.Glaucoma_2"),
        (("[exam]", "[service.juggling]"), "service.juggling"),
        (("[exam]", "[service.delivery]"), "service.delivery.price.exam_5_years"),
        (('zh = "例次"', 'zh = "例次"\nincludes = [1]'), "exam.includes"),
    ],
)
def test_what_is_wrong_with_it_is_said_by_name(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    """The key, the file, and what is allowed there."""
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, WHOLE.replace(*change))

    told = " ".join(str(problem) for problem in raised.value.problems)
    assert says in told
    assert str(tmp_path) in told


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    """They are repaired together."""
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, 'currency = 1\nfoo = 2\n[exam]\nprice = {year = "x"}\n')

    assert len(raised.value.problems) == 5


@pytest.mark.parametrize("content", [b"\xff", b"= 1", b"#" * (1024 * 1024 + 1)])
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, content: bytes) -> None:
    """No UTF-8, no TOML, too long."""
    with pytest.raises(SettingsError, match="is no catalogue"):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The message names the file."""
    settings = load_settings(environ={"TOLLGATE_CATALOGUE": str(tmp_path / "gone.toml")})

    with pytest.raises(SettingsError, match=r"gone\.toml"):
        load_catalogue(settings)
