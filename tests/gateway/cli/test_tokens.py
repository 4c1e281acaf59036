"""`institution token`, and orders by an institution's id and token (domain, ordering)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import select

from storage import tables as t
from tests.gateway.cli.conftest import Cli


@pytest.fixture
def hospital(tollgate: Cli) -> Cli:
    """An account with one institution."""
    tollgate.hospital()
    return tollgate


def order(folder: Path, token: str, *what: str, institution_id: str = "1") -> tuple[str, ...]:
    """The arguments of an order by token, read from a file."""
    file = folder / "token.txt"
    file.write_text(token + "\n", encoding="utf-8")
    proof = ("--institution-id", institution_id, "--token-file", str(file))
    return ("order", "place", *proof, *what, "--order-no", "SO-1")


EXAMS = ("--exams", "1000")
WHY = ("--reason", "asked by letter", "--by", "anna")


def test_a_token_is_shown_once_and_kept_as_a_hash(hospital: Cli) -> None:
    """Random, 256 bits; the database has its SHA-256 and nothing else of it."""
    token = hospital.ok("institution", "token", "issue", "East", *WHY).strip()

    assert len(token) == 43
    ledger = hospital.ledger()
    with ledger.read() as view:
        (row,) = view.connection.execute(select(t.institution_tokens))
    ledger.database.dispose()
    assert row.sha256 == hashlib.sha256(token.encode()).hexdigest()
    kept = b"".join(path.read_bytes() for path in hospital.data_dir.rglob("*sqlite3*"))
    assert token.encode() not in kept
    assert token != hospital.ok("institution", "token", "issue", "East", *WHY).strip()


def test_an_institution_orders_by_its_token(
    hospital: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file or a variable; its account pays, and the order names it."""
    token = hospital.json("institution", "token", "issue", "1", *WHY)["token"]
    placed = hospital.json(*order(tmp_path, token, *EXAMS))
    assert (placed["account"], placed["institution_id"]) == ("Lakeside", 1)
    monkeypatch.setenv("HOSPITAL_TOKEN", token)
    by_variable = ("--institution-id", "1", "--token-env", "HOSPITAL_TOKEN")
    again = hospital.json("order", "place", *by_variable, *EXAMS, "--order-no", "SO-1")
    assert again == placed


@pytest.mark.parametrize("which", ["wrong", "empty", "another's", "old", "revoked", "nobody's"])
def test_a_wrong_token_is_refused_and_journaled(hospital: Cli, tmp_path: Path, which: str) -> None:
    """By the rule TOKEN, the same words for all; nothing ordered, the token in no record."""
    token = hospital.json("institution", "token", "issue", "East", *WHY)["token"]
    institution_id = "1"
    if which == "another's":
        hospital.ok("institution", "create", "West", "--account", "Lakeside")
        token = hospital.json("institution", "token", "issue", "West", *WHY)["token"]
    elif which == "old":
        hospital.ok("institution", "token", "issue", "East", *WHY)
    elif which == "revoked":
        hospital.ok("institution", "token", "revoke", "East", *WHY)
    elif which == "nobody's":
        institution_id = "99"
    else:
        token = {"wrong": token[:-1] + "-"}.get(which, "")

    said = hospital.refused(*order(tmp_path, token, *EXAMS, institution_id=institution_id))

    assert said == "TOKEN: that is not the token of that institution"
    assert hospital.json("order", "list") == []
    ledger = hospital.ledger()
    with ledger.read() as view:
        acts = [one for one in view.actions() if one.action == "token_refused"]
    ledger.database.dispose()
    assert [(one.actor, one.subject) for one in acts] == [(f"institution {institution_id}", "SO-1")]
    assert not token or token not in str(acts)


def test_what_an_operator_alone_sells_is_not_sold_by_token(hospital: Cli, tmp_path: Path) -> None:
    """ORD-1, and no way around it."""
    token = hospital.json("institution", "token", "issue", "East", *WHY)["token"]
    unlimited = ("--ai", "glaucoma", "--unlimited")
    assert hospital.refused(*order(tmp_path, token, *unlimited)).startswith("ORD-1: ")
    both = order(tmp_path, token, *unlimited, "--by-operator", "--reason", "x")
    assert "--by-operator" in hospital.refused(*both, status=2)


@pytest.mark.parametrize(
    "what",
    [
        (),
        ("--institution-id", "1"),
        ("--account", "1", "--token-env", "X"),
        ("--institution-id", "1", "--token-env", "NOT_SET_ANYWHERE"),
    ],
)
def test_half_a_proof_is_wrong_usage(hospital: Cli, what: tuple[str, ...]) -> None:
    """Exit status 2; nothing is guessed."""
    hospital.refused("order", "place", *what, *EXAMS, "--order-no", "SO-1", status=2)
    assert "no valid token" in hospital.refused("institution", "token", "revoke", "East", *WHY)


def test_who_gave_out_a_token_and_why_is_on_record(hospital: Cli) -> None:
    """Each act with its institution; the token itself in no record."""
    token = hospital.ok("institution", "token", "issue", "East", *WHY).strip()
    hospital.ok("institution", "token", "revoke", "East", *WHY)
    acts = hospital.json("action", "list")
    assert [(one["action"], one["subject"], one["actor"], one["reason"]) for one in acts] == [
        (action, "institution 1", "anna", "asked by letter")
        for action in ("token_revoke", "token_issue")
    ]
    assert token not in str(acts)
    without = ("institution", "token", "issue", "East")
    assert "--reason" in hospital.refused(*without, status=2)
