"""`tollgate verify`: every invariant, read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import output, session, units
from gateway.cli.output import AsJson
from gateway.cli.problem import REFUSED

if TYPE_CHECKING:
    from storage.invariants import Check
    from storage.verify import Report


def verify(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Check that the ledger and the archive are whole. Changes nothing.

    Runs every invariant in one snapshot, beside a running gateway as well.
    Exit status 1 where one is violated; nothing is repaired.
    """
    from gateway.bootstrap import open_archive
    from storage.verify import verify as run

    with (
        output.console(stderr=True).status("checking the ledger and the archive"),
        session.opened(context) as ledger,
        ledger.read() as view,
    ):
        # Only now: it makes the archive's folder, where there may be no ledger at all.
        archive = open_archive(session.settings(context))
        report = run(view, archive=archive, fresh=ledger.read)
    if as_json:
        output.document(_document(report))
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(REFUSED)


_DEVELOPERS = "stop billing from these figures and call the developers"
_WHAT_TO_DO = {
    1: f"the journal itself is damaged: {_DEVELOPERS}",
    2: "what is shown differs from the journal, which is right: bill from `tollgate statement`, "
    "call the developers",
    13: "an image is missing or damaged: restore the object from a backup, or have the study sent "
    "again; the size and the key stand above",
    14: "bytes are counted wrong: on the plan per-capacity the limit may act too early or too "
    "late; call the developers",
    17: "AI calls are set aside for nobody: `tollgate ai list --pending` shows the holds; call "
    "the developers",
    18: "arrears began and nobody was told: tell the hospital, see `tollgate account show`",
    19: "the journal was changed behind the ledger's back: restore the database from a backup to "
    "a copy, compare, find out who had access",
    21: "an examination may be listed for deletion too early: delete nothing until it is mended; "
    "call the developers",
}
"""What to do about a violated check, by its number; `_DEVELOPERS` for the others."""


def what_to_do(check: Check) -> str:
    """What an operator does about a violated check."""
    return _WHAT_TO_DO.get(check.number, _DEVELOPERS)


def _document(report: Report) -> dict[str, Any]:
    violations = {violation.check: violation for violation in report.violations}
    return {
        "ok": report.ok,
        "checks": [
            {
                "number": check.number,
                "name": check.name,
                "ok": check not in violations,
                "what_to_do": what_to_do(check) if check in violations else None,
                "violations": violations[check].count if check in violations else 0,
                "rows": [dict(row) for row in violations[check].rows]
                if check in violations
                else [],
            }
            for check in report.checks
        ],
    }


def _show(report: Report) -> None:
    violations = {violation.check: violation for violation in report.violations}
    for check in report.checks:
        violation = violations.get(check)
        mark = output.styled("ok      ", "green")
        if violation is not None:
            mark = output.styled("VIOLATED", "bold white on red")
        output.say(output.joined(mark, f"  {check.number:>2}  {check.name}"))
        if violation is None:
            continue
        for row in violation.rows:
            output.say("              " + ", ".join(f"{name} {row[name]}" for name in row))
        if (hidden := violation.count - len(violation.rows)) > 0:
            output.say(f"              and {units.count(hidden)} more")
        output.say(f"              what to do: {what_to_do(check)}")
    total = len(report.checks)
    if report.ok:
        output.say(output.styled(f"all {total} checks hold", "bold green"))
    else:
        output.say(output.styled(f"{len(violations)} of {total} checks violated", "bold red"))
        output.hint(
            "nothing was repaired, and uploads go on; before anything else copy the data volume "
            "(PostgreSQL: pg_dump), and keep this report"
        )
