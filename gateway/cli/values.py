"""Arguments as people type them: each parser returns the value as kept, or says what is allowed."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Sequence

import typer

TEXT_LENGTH_MAX = 200
# PS3.5 6.2, VR AE: default repertoire without backslash and control characters.
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
_PRODUCT = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
# PS3.5 9.1: components of digits without leading zeros, 64 characters in all.
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_UID_LENGTH_MAX = 64


def text(given: str) -> str:
    """1 to 200 printable characters; outer blanks are dropped."""
    kept = given.strip()
    if not 1 <= len(kept) <= TEXT_LENGTH_MAX or not kept.isprintable():
        raise typer.BadParameter(f"allowed are 1 to {TEXT_LENGTH_MAX} printable characters")
    return kept


def name(given: str) -> str:
    """A name: `text` that can't be taken for an id."""
    kept = text(given)
    if kept.isdecimal():
        raise typer.BadParameter(
            f"{kept} has digits only and would be taken for an id: add a letter"
        )
    return kept


def product(given: str) -> str:
    """The name of an AI product: 1 to 40 lower-case letters, digits, dots, hyphens, underscores."""
    kept = given.strip()
    if not _PRODUCT.fullmatch(kept):
        raise typer.BadParameter(
            f"{given!r} is no AI product: lower-case letters, digits, - _ and ., as in glaucoma"
        )
    return kept


def ae_title(given: str) -> str:
    """An AE title; outer spaces are not significant (PS3.5 6.2)."""
    kept = given.strip(" ")
    if not _AE_TITLE.fullmatch(kept):
        raise typer.BadParameter(
            "an AE title has 1 to 16 printable ASCII characters without backslash"
        )
    return kept


def network(given: str) -> str:
    """A network in CIDR form; a bare address is a network of one."""
    try:
        interface = ipaddress.ip_interface(given.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{given!r} is no network: write one as 192.0.2.0/24, 192.0.2.7 or 2001:db8::/64"
        ) from None
    if "%" in given:
        raise typer.BadParameter(f"{given!r} has a zone: leave out what follows the %")
    if interface.ip != interface.network.network_address:
        raise typer.BadParameter(
            f"{given!r} has host bits set: for the network write {interface.network}, "
            f"for the one address {interface.ip}"
        )
    return str(interface.network)


def uid(given: str) -> str:
    """A UID (PS3.5 9.1)."""
    kept = given.strip()
    if len(kept) > _UID_LENGTH_MAX or not _UID.fullmatch(kept):
        raise typer.BadParameter(
            f"{given!r} is no UID: numbers without leading zeros, joined by dots, "
            f"at most {_UID_LENGTH_MAX} characters"
        )
    return kept


def time_zone(given: str) -> str:
    """A time zone of the IANA database."""
    import zoneinfo

    known = zoneinfo.available_timezones()
    if given not in known:
        hint = did_you_mean(given, sorted(known)) or ": write one as Asia/Shanghai or UTC"
        raise typer.BadParameter(f"{given!r} is no time zone{hint}")
    return given


def did_you_mean(given: str, known: Sequence[str]) -> str:
    """`; did you mean 'X'?` for the closest of `known`, or nothing.

    A part of a name counts before a likeness, and capitals don't count.
    """
    wanted = given.casefold()
    close = [name for name in known if wanted and wanted in name.casefold()]
    if not close:
        by_fold = {name.casefold(): name for name in known}
        close = [by_fold[fold] for fold in difflib.get_close_matches(wanted, by_fold, n=1)]
    return f"; did you mean {close[0]!r}?" if close else ""
