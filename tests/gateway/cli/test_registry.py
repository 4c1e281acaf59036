"""`tollgate institution` and `tollgate device`: who sends, checked before it is kept."""

from __future__ import annotations

import pytest

from tests.gateway.cli.conftest import Cli


@pytest.fixture
def account(tollgate: Cli) -> Cli:
    """An account, and nobody who sends."""
    tollgate.ok("account", "create", "Lakeside", "--plan", "per-exam", "--agreement", "7")
    return tollgate


@pytest.fixture
def institution(account: Cli) -> Cli:
    """An account with one institution."""
    account.ok("institution", "create", "East", "--account", "Lakeside")
    return account


def test_an_institution_names_its_account_and_its_title(account: Cli) -> None:
    """The account by name or id; the AE title is trimmed, and null where there is none."""
    made = account.json("institution", "create", "东院", "--account", "1", "--ae-title", " EAST ")
    assert (made["id"], made["name"], made["called_ae_title"]) == (1, "东院", "EAST")
    assert (made["account"], made["account_id"]) == ("Lakeside", 1)
    account.ok("institution", "create", "West", "--account", "Lakeside")
    listed = account.json("institution", "list")
    assert listed[-1] == made
    assert [one["called_ae_title"] for one in listed] == [None, "EAST"]
    assert "东院" in account.ok("institution", "list")


def test_an_institution_is_registered_once(institution: Cli) -> None:
    """A taken name is refused."""
    said = institution.refused("institution", "create", "East", "--account", "1")
    assert "'East'" in said
    assert len(institution.json("institution", "list")) == 1


def test_nothing_is_registered_for_an_unknown_account(tollgate: Cli) -> None:
    """No account, no institution; nothing is written."""
    tollgate.begin()
    tollgate.refused("institution", "create", "East", "--account", "Lakeside")
    assert tollgate.json("institution", "list") == []


@pytest.mark.parametrize("title", ["", "   ", "SEVENTEEN_LETTERS", "A\\B", "CT\u00e91", "A\tB"])
def test_a_wrong_ae_title_is_refused(institution: Cli, title: str) -> None:
    """PS3.5 6.2: 1 to 16 printable ASCII characters without backslash."""
    said = institution.refused("device", "add", title, "--institution", "1", status=2)
    assert "1 to 16 printable ASCII characters" in said
    arguments = ("institution", "create", "West", "--account", "1", "--ae-title", title)
    institution.refused(*arguments, status=2)


def test_a_device_is_registered_with_all_that_was_said(institution: Cli) -> None:
    """Networks in CIDR form, a bare address as a network of one, in the order of the store."""
    made = institution.json(
        *("device", "add", " FUNDUS1 ", "--institution", "East", "--grouping", "accession"),
        *("--network", "192.0.2.0/24", "--network", "198.51.100.7", "--network", "2001:db8::1"),
        *("--sop-class", "1.2.276.0.7230010.3.1.0.1", "--tolerate-leading-zeros"),
    )
    assert made.pop("created_at").endswith("Z")
    assert made == {
        "id": 1,
        "ae_title": "FUNDUS1",
        "institution": "East",
        "institution_id": 1,
        "networks": ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::1/128"],
        "grouping": "accession",
        "private_sop_classes": ["1.2.276.0.7230010.3.1.0.1"],
        "tolerates_leading_zeros": True,
        "closed_at": None,
    }


def test_a_device_may_call_from_everywhere_unless_told(institution: Cli) -> None:
    """The defaults: any network, grouped by study."""
    made = institution.json("device", "add", "CT1", "--institution", "1")
    assert (made["networks"], made["grouping"]) == ([], "study")
    assert "everywhere" in institution.ok("device", "list")


def test_devices_are_listed_for_one_institution(institution: Cli) -> None:
    """By name or id; an unknown one is an error, not an empty list."""
    institution.ok("institution", "create", "West", "--account", "1")
    institution.ok("device", "add", "CT1", "--institution", "East")
    institution.ok("device", "add", "MR1", "--institution", "West")
    listed = institution.json("device", "list", "--institution", "West")
    assert [one["ae_title"] for one in listed] == ["MR1"]
    assert len(institution.json("device", "list")) == 2
    assert "did you mean 'West'?" in institution.refused("device", "list", "--institution", "Wset")


def test_host_bits_show_the_network_that_was_meant(institution: Cli) -> None:
    """`192.0.2.7/24` is a slip of one of two kinds; both ways out are shown."""
    arguments = ("device", "add", "CT1", "--institution", "1", "--network")
    said = institution.refused(*arguments, "192.0.2.7/24", status=2)
    assert "for the network write 192.0.2.0/24, for the one address 192.0.2.7" in said
    for wrong in ("192.0.2.0/33", "hospital", "", "fe80::1%eth0"):
        institution.refused(*arguments, wrong, status=2)
    assert institution.json("device", "list") == []


@pytest.mark.parametrize("uid", ["1.2.03", "CTImageStorage", "1", "1..2", "1." + "2" * 64])
def test_what_is_no_uid_is_refused(institution: Cli, uid: str) -> None:
    """PS3.5 9.1: components without leading zeros, at most 64 characters."""
    arguments = ("device", "add", "CT1", "--institution", "1", "--sop-class", uid)
    assert "is no UID" in institution.refused(*arguments, status=2)


def test_a_device_that_could_not_be_told_apart_is_refused(institution: Cli) -> None:
    """Two institutions, one calling AE title, no network: refused with the way out."""
    institution.ok("institution", "create", "West", "--account", "1")
    institution.ok("device", "add", "CT1", "--institution", "East")
    assert "'CT1' already" in institution.refused("device", "add", "CT1", "--institution", "East")
    assert "--network" in institution.refused("device", "add", "CT1", "--institution", "West")


@pytest.mark.parametrize("noun", ["account", "institution", "device", "order", "exam"])
def test_an_empty_list_says_how_to_fill_it(tollgate: Cli, noun: str) -> None:
    """On standard error: what is piped on stays empty, and JSON is an empty list."""
    tollgate.begin()
    result = tollgate.run(noun, "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"no {noun}" in result.stderr
    assert "tollgate " in result.stderr
    assert tollgate.json(noun, "list") == []
