"""`tollgate device`: who may send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import documents, lookup, output, session, values
from gateway.cli.group import examples, noun
from gateway.cli.output import AsJson, Column
from storage.records import Grouping

if TYPE_CHECKING:
    from storage.records import Device

app = noun("Who may send: devices by their calling AE title.")

_COLUMNS = [
    Column(title="id", right=True),
    Column(title="AE title"),
    Column(title="institution"),
    Column(title="networks"),
    Column(title="grouped by"),
    Column(title="private SOP classes", optional=True),
    Column(title="leading zeros", optional=True),
]


AeTitleArgument = Annotated[
    str,
    typer.Argument(
        metavar="AE_TITLE",
        parser=values.ae_title,
        help="The AE title with which it calls.",
        show_default=False,
    ),
]
OwnerOption = Annotated[
    str,
    typer.Option(
        metavar="INSTITUTION",
        help="Whose it is: the institution's id or name.",
        show_default=False,
    ),
]
NetworkOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        parser=values.network,
        help="A network, or one address, from which it calls; may be repeated. "
        "Without any it may call from everywhere.",
        show_default=False,
    ),
]
KindOption = Annotated[
    Grouping,
    typer.Option(
        metavar="KIND",
        help="What makes an examination: study, or accession (its number) for a device that "
        "gives every image a study of its own.",
    ),
]
SopClassOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="UID",
        parser=values.uid,
        help="A private SOP class that it may send; may be repeated.",
        show_default=False,
    ),
]
LeadingZerosOption = Annotated[
    bool,
    typer.Option(
        "--tolerate-leading-zeros",
        metavar="",
        help="Store its instances although its UIDs have components with leading zeros.",
    ),
]


@app.command(
    epilog=examples(
        "tollgate device add CT1 --institution 'Lakeside East' --network 192.0.2.0/24",
        "tollgate device add FUNDUS1 --institution 1 --grouping accession",
    )
)
def add(
    context: typer.Context,
    *,
    ae_title: AeTitleArgument,
    institution: OwnerOption,
    network: NetworkOption = None,
    grouping: KindOption = Grouping.STUDY,
    sop_class: SopClassOption = None,
    tolerate_leading_zeros: LeadingZerosOption = False,
    as_json: AsJson = False,
) -> None:
    """Register a device. From now on it may send."""
    from storage.registry import add_device

    with session.writing(context) as work:
        owner = lookup.institution(work, institution)
        device = add_device(
            work,
            ae_title=ae_title,
            institution_id=owner.id,
            networks=network or (),
            grouping=grouping,
            private_sop_classes=sop_class or (),
            tolerates_leading_zeros=tolerate_leading_zeros,
        )
        work.commit()
    if as_json:
        output.document(documents.device_document(device, owner.name))
        return
    output.say(f"device {device.id} added: {ae_title} of {owner.name}, from {_networks(device)}")


@app.command("list", epilog=examples("tollgate device list --institution 'Lakeside East'"))
def list_(
    context: typer.Context,
    *,
    institution: Annotated[
        str | None,
        typer.Option(metavar="INSTITUTION", help="Only those of this institution (id or name)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the devices."""
    from storage.registry import devices, institutions

    with session.reading(context) as view:
        names = {one.id: one.name for one in institutions(view)}
        known = devices(view, lookup.institution_id(view, institution))
    if as_json:
        listed = [documents.device_document(one, names[one.institution_id]) for one in known]
        output.document(listed)
        return
    output.table(
        _COLUMNS,
        [_row(device, names[device.institution_id]) for device in known],
        empty="no devices yet: tollgate device add AE_TITLE --institution INSTITUTION",
    )


def _row(device: Device, institution: str) -> list[output.Cell]:
    return [
        str(device.id),
        device.ae_title,
        f"{institution} ({device.institution_id})",
        _networks(device),
        device.grouping.value,
        ", ".join(device.private_sop_classes),
        "tolerated" if device.tolerates_leading_zeros else "",
    ]


def _networks(device: Device) -> str:
    return ", ".join(device.networks) or "everywhere"
