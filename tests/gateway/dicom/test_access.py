"""Access: who may associate, as whose device."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicom.access import Accepted, Registry, Rejected, Rejection, check_access
from storage.records import Device, Institution
from tests.gateway.dicom.support import DEVICE, INSTITUTION

NORTH = INSTITUTION
SOUTH = replace(INSTITUTION, id=2, name="South", called_ae_title="SOUTH")
CLOSED = replace(INSTITUTION, id=3, name="Closed", called_ae_title="CLOSED", closed_at=1)


def device(number: int, institution: Institution, *networks: str, title: str = "CT1") -> Device:
    """A device of `institution` in `networks`."""
    return replace(
        DEVICE, id=number, ae_title=title, institution_id=institution.id, networks=networks
    )


def check(
    *devices: Device, called: str = "TOLLGATE", calling: str = "CT1", source: str = "10.1.2.3"
) -> int | Rejection:
    """The accepted device's id, or why nobody was accepted."""
    verdict = check_access(
        called_ae_title=called,
        calling_ae_title=calling,
        source=source,
        common_ae_title="TOLLGATE",
        registry=Registry(institutions=(NORTH, SOUTH, CLOSED), devices=devices),
    )
    if isinstance(verdict, Rejected):
        return verdict.rejection
    assert isinstance(verdict, Accepted)
    assert verdict.device.institution_id == verdict.institution.id
    return verdict.device.id


CALLED, CALLING = Rejection.CALLED_AE_UNKNOWN, Rejection.CALLING_AE_UNKNOWN


@pytest.mark.parametrize(
    "called, calling, expected",
    [
        ("TOLLGATE", "CT1", 1),
        (" TOLLGATE ", " CT1 ", 1),
        ("TOLLGATE", "MR2", 2),
        ("SOUTH", "MR2", 2),
        ("SOUTH", "CT1", CALLING),
        ("tollgate", "CT1", CALLED),
        ("OTHER", "CT1", CALLED),
        ("OTHER", "NOBODY", CALLED),
        ("CLOSED", "CT9", CALLED),
        ("TOLLGATE", "CT9", CALLING),
        ("TOLLGATE", "NOBODY", CALLING),
    ],
)
def test_titles_lead_to_a_device_or_to_a_rejection(
    called: str, calling: str, expected: int | Rejection
) -> None:
    """The common title admits every device, an institution's own title only its devices."""
    devices = (
        device(1, NORTH),
        device(2, SOUTH, title="MR2"),
        device(9, CLOSED, title="CT9"),
    )
    assert check(*devices, called=called, calling=calling) == expected


@pytest.mark.parametrize("title", ["", "    ", "A\0B", "A\nB", "CT\xe9", "A\\B", "X" * 17, "\x7f"])
def test_a_title_that_is_none_is_unknown(title: str) -> None:
    """Blank, control bytes, non-ASCII, too long: nobody is called that."""
    assert check(device(1, NORTH), called=title) is CALLED
    assert check(device(1, NORTH), calling=title) is CALLING


@pytest.mark.parametrize(
    "networks, source, expected",
    [
        ((), "203.0.113.9", 1),
        (("10.0.0.0/8",), "10.1.2.3", 1),
        (("10.0.0.0/8",), "11.1.2.3", CALLING),
        (("10.1.2.3/32", "192.168.0.0/16"), "192.168.7.7", 1),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", 1),
        (("10.0.0.0/8",), "fd00::1", CALLING),
        (("fd00::/8",), "fd00::1", 1),
        (("fe80::/10",), "fe80::1%eth0", 1),
        (("10.1.2.3/8",), "10.9.9.9", 1),
        (("no network",), "10.1.2.3", CALLING),
        ((), "no address", CALLING),
    ],
)
def test_the_source_must_lie_in_one_of_the_devices_networks(
    networks: tuple[str, ...], source: str, expected: int | Rejection
) -> None:
    """No network admits any source; one that can't be read admits none."""
    assert check(device(1, NORTH, *networks), source=source) == expected


def test_the_narrowest_network_wins_between_institutions() -> None:
    """Two hospitals with a CT1 are told apart by where it calls from."""
    north, south = device(1, NORTH, "10.0.0.0/8"), device(2, SOUTH, "10.1.0.0/16")
    anywhere = device(3, NORTH)
    assert check(north, south, anywhere) == 2
    assert check(north, south, anywhere, source="10.2.0.1") == 1
    assert check(north, south, anywhere, source="192.168.0.1") == 3


def test_a_tie_between_institutions_is_nobody() -> None:
    """Never store with the wrong hospital: the institution's own called title resolves it."""
    north, south = device(1, NORTH, "10.0.0.0/8"), device(2, SOUTH, "10.0.0.0/8")
    assert check(north, south) is CALLING
    assert check(north, south, called="SOUTH") == 2
    assert check(device(1, NORTH), device(2, SOUTH)) is CALLING


def test_a_tie_within_one_institution_goes_to_the_first_device() -> None:
    """It is the same hospital and the same account either way."""
    assert check(device(7, NORTH, "10.0.0.0/8"), device(5, NORTH, "10.0.0.0/8")) == 5


def test_a_closed_device_is_unknown() -> None:
    """What is closed is left out of the registry."""
    assert check(replace(device(1, NORTH), closed_at=1)) is CALLING


@given(called=st.text(max_size=20), calling=st.text(max_size=20), source=st.text(max_size=50))
def test_any_text_at_all_gets_a_verdict(called: str, calling: str, source: str) -> None:
    """No title and no address raises."""
    assert check(device(1, NORTH), called=called, calling=calling, source=source) in (
        *Rejection,
        1,
    )
