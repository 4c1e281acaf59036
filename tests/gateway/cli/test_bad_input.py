"""Bad input on either database: refused by a rule's name, with nothing written (invariant 22)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.cli.conftest import Cli
from tests.storage.kit import dump
from tests.storage.server import Server

WHY = ("--reason", "agreed by telephone", "--by", "anna")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lakeside(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cli]:
    """Two accounts, two institutions; examinations, AI calls and a licence bought; a call held."""
    data_dir = tmp_path_factory.mktemp("bad-input") / "data"
    if request.param == "sqlite":
        yield _filled(Cli(data_dir=data_dir))
        return
    with Server() as server:
        url = server.url("postgres").replace("postgresql+psycopg://", "postgresql://")
        yield _filled(Cli(data_dir=data_dir, database_url=url))


def _filled(cli: Cli) -> Cli:
    cli.hospital()
    cli.ok("account", "create", "Bytes", "--plan", "per-capacity", "--agreement", "A-18")
    cli.ok("institution", "create", "West", "--account", "Bytes")
    cli.ok("consortium", "create", "Union", "--account", "Lakeside", *WHY)
    cli.ok("institution", "token", "issue", "East", *WHY)
    cli.buy("SO-1")
    for number, wanted in {
        "AI-1": ("--ai", "glaucoma", "--calls", "1000"),
        "LI-1": ("--licence", "mobile", "--institution", "East"),
    }.items():
        cli.ok("order", "place", "--account", "Lakeside", *wanted, "--order-no", number)
        cli.ok("order", "pay", number)
    cli.ok("ai", "hold", *CALLS, "--calls", "3", "--key", "held")
    return cli


def written(cli: Cli) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    ledger = cli.ledger()
    try:
        return dump(ledger)
    finally:
        ledger.database.dispose()


PLACE = ("order", "place", "--order-no", "BAD")
EXAMS = (*PLACE, "--account", "Lakeside")
BYTES = (*PLACE, "--account", "Bytes")
CALLS = ("--account", "Lakeside", "--product", "glaucoma")
REFUSED = [
    ((*EXAMS, "--exams", "999"), "ORD-1"),
    ((*EXAMS, "--exams", "-1000"), "ORD-1"),
    ((*BYTES, "--capacity-tb", "1.5"), "ORD-1"),
    ((*BYTES, "--capacity-tb", "-1"), "ORD-1"),
    ((*EXAMS, "--capacity-tb", "1"), "ORD-1"),
    ((*BYTES, "--exams", "1000"), "ORD-1"),
    ((*EXAMS, "--ai", "glaucoma", "--calls", "1500"), "ORD-1"),
    (("order", "place", "--account", "1", "--exams", "2000", "--order-no", "SO-1"), "ORD-2"),
    (("order", "pay", "SO-9"), "ORD-2"),
    (("order", "void", "SO-9", *WHY), "ORD-2"),
    ((*PLACE, "--account", "Nobody", "--exams", "1000"), "ACCOUNT"),
    ((*PLACE, "--account", "4711", "--exams", "1000"), "ACCOUNT"),
    (("account", "show", "Nobody"), "ACCOUNT"),
    (("institution", "move", "North", "--account", "1", *WHY), "INSTITUTION"),
    (("licence", "check", "North", "mobile"), "INSTITUTION"),
    ((*EXAMS, "--licence", "basic", "--consortium", "Nobody's"), "CONSORTIUM"),
    (("consortium", "create", "League", "--account", "Lakeside", *WHY), "CONSORTIUM"),
    (("licence", "revoke", "9", *WHY), "LICENCE"),
    (("service", "accept", "9", *WHY), "SERVICE"),
    (("ai", "hold", *CALLS, "--calls", "998", "--key", "more"), "AI"),
    (("ai", "hold", *CALLS, "--calls", "4", "--key", "held"), "AI"),
    (("ai", "post", "unknown", *CALLS), "AI"),
    (("ai", "void", "unknown", *CALLS), "AI"),
    (("exam", "show", "unknown"), "EXAMINATION"),
    (("exam", "reverse", "unknown", *WHY), "EXAMINATION"),
    (("exam", "delete", "unknown", *WHY), "EXAMINATION"),
    (("exam", "export", "unknown", "nowhere"), "EXAMINATION"),
    (("journal", "list", "--exam", "unknown"), "EXAMINATION"),
    (("archive", "check", "unknown"), "EXAMINATION"),
    (("spool", "declare-lost", "unknown", *WHY), "SPOOL"),
]


@pytest.mark.slow
def test_bad_input_is_refused_by_a_rule_and_writes_nothing(lakeside: Cli) -> None:
    """Exit status 1, the rule's name in words and in JSON, and every row as it was."""
    before = written(lakeside)
    for arguments, rule in REFUSED:
        assert lakeside.refused(*arguments).startswith(f"{rule}: "), arguments
        result = lakeside.run(*arguments, "--json")
        assert json.loads(result.stderr)["rule"] == rule, arguments
    assert written(lakeside) == before


@pytest.mark.slow
def test_a_wrong_token_is_journaled_and_nothing_else(lakeside: Cli, tmp_path: Path) -> None:
    """TOKEN, for a known institution and an unknown one; the token itself is on no record."""
    (tmp_path / "token").write_text("tgt_not-the-one")
    before = written(lakeside)
    for institution_id in ("1", "99"):
        by_token = ("--institution-id", institution_id, "--token-file", str(tmp_path / "token"))
        assert lakeside.refused(*PLACE, *by_token, "--exams", "1000").startswith("TOKEN: ")

    after = written(lakeside)
    changed = [name for name, rows in after.items() if rows != before[name]]
    assert changed == ["operator_actions"]
    assert len(after["operator_actions"]) == len(before["operator_actions"]) + 2
    assert "not-the-one" not in repr(after)
