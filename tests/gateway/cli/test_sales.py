"""`tollgate order quote`, and AI on `order place`: the catalogue, its prices, its refusals."""

from __future__ import annotations

import pytest

from tests.gateway.cli.conftest import Cli


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """An account that has bought nothing."""
    tollgate.hospital()
    return tollgate


def place(cli: Cli, number: str, *what: str) -> tuple[str, ...]:
    """The arguments of `order place`."""
    assert cli.data_dir.exists()
    return ("order", "place", "--account", "Lakeside", *what, "--order-no", number)


def test_a_quote_is_units_times_price_times_terms(tollgate: Cli) -> None:
    """ORD-5 as in the domain's example; no data directory is made for it."""
    quoted = tollgate.json("order", "quote", "--exams", "1000", "--storage-years", "10")

    line = quoted["lines"][0]
    assert line["amount_minor"] == 1000 * line["unit_price_minor"] * 2 == quoted["total_minor"]
    assert (quoted["currency"], line["per"], line["terms"]) == ("CNY", "exam_5_years", 2)
    quoted = tollgate.json("order", "quote", "--capacity-tb", "1", "--years", "5")
    line = quoted["lines"][0]
    assert quoted["total_minor"] == 1 * line["unit_price_minor"] * 5
    assert not tollgate.data_dir.exists()


def test_a_person_reads_a_quote_with_its_total(tollgate: Cli) -> None:
    """Major units with their decimals, both languages' names, one line per licence."""
    said = tollgate.ok(
        "order", "quote", "--licence", "basic", "--licence", "mobile", "--years", "2"
    )

    assert "licence basic for 2 years" in said
    assert "基础版" in said
    assert "116,000.00 CNY" in said.splitlines()[-1]


@pytest.mark.parametrize(
    "what",
    [
        ("--exams", "999"),
        ("--capacity-tb", "1.5"),
        ("--ai", "glaucoma", "--calls", "1500"),
        ("--ai", "telepathy", "--calls", "1000"),
        ("--licence", "telepathy"),
        ("--service", "juggling"),
    ],
)
def test_what_is_not_sold_has_no_price(tollgate: Cli, what: tuple[str, ...]) -> None:
    """ORD-1 by its name."""
    assert tollgate.refused("order", "quote", *what).startswith("ORD-1: ")


@pytest.mark.parametrize(
    "what, says",
    [
        ((), "give one of"),
        (("--exams", "1000", "--capacity-tb", "1"), "give one of"),
        (("--exams", "1000", "--years", "2"), "--years"),
        (("--exams", "1000", "--calls", "1000"), "--calls"),
        (("--ai", "glaucoma"), "--calls"),
        (("--ai", "glaucoma", "--calls", "1000", "--unlimited"), "--calls"),
        (("--service", "maintenance", "--years", "1", "--months", "1"), "--months"),
        (("--capacity-tb", "x"), "number of TB"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    tollgate: Cli, what: tuple[str, ...], says: str
) -> None:
    """Exit status 2, and which ones."""
    assert says in tollgate.refused("order", "quote", *what, status=2)


def test_ai_calls_are_ordered_and_credited(hospital: Cli) -> None:
    """Beside the plan's own meter; the package is good for a year."""
    placed = hospital.json(*place(hospital, "AI-1", "--ai", "glaucoma", "--calls", "2000"))
    assert placed["lines"][0]["meter"] == "ai:glaucoma"
    assert placed["lines"][0]["quantity"] == 2000
    assert hospital.json("order", "pay", "AI-1")["state"] == "credited"
    assert "2,000 calls of glaucoma" in hospital.ok("order", "list")


def test_ai_without_limit_needs_an_operator_and_a_reason(hospital: Cli) -> None:
    """ORD-1; what an operator does is journaled with who and why, once."""
    what = ("--ai", "colorectal", "--unlimited")
    assert hospital.refused(*place(hospital, "AI-1", *what)).startswith("ORD-1: ")
    missing = hospital.refused(*place(hospital, "AI-1", *what, "--by-operator"), status=2)
    assert "--reason" in missing
    assert hospital.json("order", "list") == []
    booked = (*what, "--by-operator", "--reason", "contract 12", "--actor", "anna")
    for _ in range(2):
        assert hospital.json(*place(hospital, "AI-1", *booked))["state"] == "placed"
    assert hospital.json("order", "pay", "AI-1")["state"] == "credited"
    ledger = hospital.ledger()
    with ledger.read() as view:
        acts = [(act.actor, act.action, act.subject, act.reason) for act in view.actions()]
        (package,) = view.packages(1)
    ledger.database.dispose()
    assert acts == [("anna", "order_place", "AI-1", "contract 12")]
    assert (package.unlimited, package.expires_at) == (True, None)


def test_a_catalogue_of_ones_own_decides_what_is_sold(
    hospital: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not list is refused by ORD-1; a broken one is told by its key."""
    file = hospital.data_dir / "mine.toml"
    monkeypatch.setenv("TOLLGATE_CATALOGUE", str(file))
    text = 'currency = "EUR"\n[ai.glaucoma]\nen = "G"\nzh = "青"\nprice = { call = 3 }\n'
    file.write_text(text, encoding="utf-8")
    quoted = hospital.json("order", "quote", "--ai", "glaucoma", "--calls", "1000")
    assert (quoted["currency"], quoted["total_minor"]) == ("EUR", 3000)
    assert hospital.refused(*place(hospital, "SO-1", "--exams", "1000")).startswith("ORD-1: ")
    file.write_text(text.replace("call = 3", "call = -3"), encoding="utf-8")
    assert "ai.glaucoma.price.call" in hospital.refused("order", "quote", "--exams", "1000")
