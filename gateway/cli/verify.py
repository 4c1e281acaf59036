"""`tollgate verify`: every invariant, read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import output, session, units
from gateway.cli.output import AsJson
from gateway.cli.problem import REFUSED

if TYPE_CHECKING:
    from storage.verify import Report


def verify(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Check that the ledger and the archive are whole. Changes nothing.

    Runs every invariant in one snapshot, beside a running gateway as well.
    Exit status 1 where one is violated; nothing is repaired.
    """
    from gateway.bootstrap import open_archive
    from storage.verify import verify as run

    archive = open_archive(session.settings(context))
    with (
        output.console(stderr=True).status("checking the ledger and the archive"),
        session.reading(context) as view,
    ):
        report = run(view, archive=archive)
    if as_json:
        output.document(_document(report))
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(REFUSED)


def _document(report: Report) -> dict[str, Any]:
    violations = {violation.check: violation for violation in report.violations}
    return {
        "ok": report.ok,
        "checks": [
            {
                "number": check.number,
                "name": check.name,
                "ok": check not in violations,
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
    total = len(report.checks)
    if report.ok:
        output.say(output.styled(f"all {total} checks hold", "bold green"))
    else:
        output.say(output.styled(f"{len(violations)} of {total} checks violated", "bold red"))
