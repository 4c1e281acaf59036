"""`tollgate` itself: the nouns put together, and the commands that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import (
    account_acts,
    action,
    ai,
    archive,
    association,
    clock,
    config,
    conflict,
    consortium,
    device,
    exam_export,
    institution,
    journal,
    licence,
    notice,
    order_void,
    package,
    refusal,
    retention,
    service,
    session,
    spool,
    token,
)
from gateway.cli.group import Root, examples
from gateway.cli.statement import statement
from gateway.cli.verify import verify

app = typer.Typer(
    name="tollgate",
    cls=Root,
    rich_markup_mode="rich",
    add_completion=False,
    # A traceback with local variables could show what must stay in the hospital.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file of settings (default: $TOLLGATE_CONFIG, if set).",
        show_default=False,
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from gateway.version import VERSION

        typer.echo(f"tollgate {VERSION}")
        raise typer.Exit


@app.callback(
    epilog=examples(
        "tollgate demo",
        "tollgate account create 'Lakeside Hospitals' --plan per-exam --agreement A-17",
        "tollgate institution create 'Lakeside East' --account 1",
        "tollgate device add CT1 --institution 1 --network 192.0.2.0/24",
        "tollgate order place --account 1 --exams 1000 --order-no 2026-0042",
        "tollgate order pay 2026-0042",
        "tollgate serve",
    )
)
def root(
    context: typer.Context,
    *,
    config_file: ConfigOption = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", help="Show the version.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """DICOM upload gateway with prepaid quota.

    Data lives in $TOLLGATE_DATA_DIR (default ./tollgate-data).
    Accounts, institutions and devices are given by name or id.
    """
    context.obj = config_file


_RUN = "Run"


@app.command(
    rich_help_panel=_RUN,
    epilog=examples("tollgate serve", "tollgate serve --config /etc/tollgate.toml"),
)
def serve(context: typer.Context, *, config_file: ConfigOption = None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C, then let what is open finish."""
    from gateway.supervisor import serve as run

    if config_file is not None:
        context.obj = config_file
    raise typer.Exit(run(session.settings(context)))


@app.command(rich_help_panel=_RUN, epilog=examples("tollgate demo"))
def demo(
    plain: Annotated[
        bool,
        typer.Option("--plain", metavar="", help="Tell it line by line, without the live view."),
    ] = False,
) -> None:
    """Watch a gateway run out of quota and recover, in under a minute.

    Everything is real but the devices and the 24 hours; nothing is left behind.
    """
    from gateway.demo import run

    raise typer.Exit(run(plain=plain))


app.command(rich_help_panel=_RUN, epilog=examples("tollgate verify", "tollgate verify --json"))(
    verify
)
app.add_typer(config.app, name="config", rich_help_panel=_RUN)
app.add_typer(clock.app, name="clock", rich_help_panel=_RUN)
# The modules of acts hold the rest of their noun's commands as well.
app.add_typer(account_acts.app, name="account", rich_help_panel="Quota")
app.add_typer(order_void.app, name="order", rich_help_panel="Quota")
app.add_typer(package.app, name="package", rich_help_panel="Quota")
app.add_typer(ai.app, name="ai", rich_help_panel="Quota")
app.command(
    rich_help_panel="Quota",
    epilog=examples(
        "tollgate statement 'Lakeside Hospitals' --month 2026-11",
        "tollgate statement 1 --month 2026-11 --lines --csv november.csv",
    ),
)(statement)
app.add_typer(licence.app, name="licence", rich_help_panel="Quota")
app.add_typer(service.app, name="service", rich_help_panel="Quota")
app.add_typer(institution.app, name="institution", rich_help_panel="Who sends")
institution.app.add_typer(token.app, name="token")
app.add_typer(consortium.app, name="consortium", rich_help_panel="Who sends")
app.add_typer(device.app, name="device", rich_help_panel="Who sends")
app.add_typer(association.app, name="association", rich_help_panel="Who sends")
app.add_typer(exam_export.app, name="exam", rich_help_panel="What was sent")
app.add_typer(archive.app, name="archive", rich_help_panel="What was sent")
app.add_typer(spool.app, name="spool", rich_help_panel="What was sent")
app.add_typer(conflict.app, name="conflict", rich_help_panel="What was sent")
app.add_typer(refusal.app, name="refusal", rich_help_panel="What was sent")
app.add_typer(retention.app, name="retention", rich_help_panel="What was sent")
app.add_typer(notice.app, name="notice", rich_help_panel="On record")
app.add_typer(journal.app, name="journal", rich_help_panel="On record")
app.add_typer(action.app, name="action", rich_help_panel="On record")
