"""The registry: who pays, who sends, and no two that could be mistaken for each other."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from quota.account import Account
from storage import registry
from storage.errors import Ambiguous, NameTaken, NotFound
from storage.ledger import SqlLedger
from storage.records import Device, Grouping, Institution
from tests.storage.kit import add_account, dump


@pytest.fixture
def account(sqlite: SqlLedger) -> Account:
    """An account for the hospitals."""
    return add_account(sqlite)


def add(
    ledger: SqlLedger, account: Account, name: str, *, called: str | None = None
) -> Institution:
    """Register an institution and commit."""
    with ledger.begin() as work:
        institution = registry.add_institution(
            work, name=name, account_id=account.id, called_ae_title=called
        )
        work.commit()
    return institution


def add_device(
    ledger: SqlLedger,
    institution: Institution,
    ae_title: str,
    networks: Iterable[str] = (),
    *,
    classes: Iterable[str] = (),
) -> Device:
    """Register a device and commit."""
    with ledger.begin() as work:
        device = registry.add_device(
            work,
            ae_title=ae_title,
            institution_id=institution.id,
            networks=networks,
            grouping=Grouping.ACCESSION,
            private_sop_classes=classes,
            tolerates_leading_zeros=True,
        )
        work.commit()
    return device


def test_institutions_are_listed_by_name(sqlite: SqlLedger, account: Account) -> None:
    """With their account and their own AE title, if they have one."""
    b = add(sqlite, account, "B", called="B_GATE")
    a = add(sqlite, account, "A")

    with sqlite.read() as view:
        assert registry.institutions(view) == [a, b]
        assert registry.institution(view, b.id) == b
    assert (a.called_ae_title, b.called_ae_title) == (None, "B_GATE")
    assert a.account_id == account.id


def test_an_institution_is_registered_once(sqlite: SqlLedger, account: Account) -> None:
    """Neither its name nor its AE title can be another's; nothing is written then."""
    add(sqlite, account, "A", called="GATE")
    before = dump(sqlite)

    with pytest.raises(NameTaken, match="'A'"):
        add(sqlite, account, "A")
    with pytest.raises(NameTaken, match="AE title"):
        add(sqlite, account, "B", called="GATE")

    assert dump(sqlite) == before


def test_an_unknown_institution_is_not_found(sqlite: SqlLedger) -> None:
    """By id, and the message names it."""
    with sqlite.read() as view, pytest.raises(NotFound, match="5"):
        registry.institution(view, 5)


def test_a_device_is_kept_as_registered(sqlite: SqlLedger, account: Account) -> None:
    """Networks and SOP classes in order, without duplicates."""
    institution = add(sqlite, account, "A")

    device = add_device(
        sqlite,
        institution,
        "CT",
        ["10.2.0.0/16", "10.1.0.0/16", "10.1.0.0/16"],
        classes=["1.2.9", "1.2.3", "1.2.3"],
    )

    assert device.networks == ("10.1.0.0/16", "10.2.0.0/16")
    assert device.private_sop_classes == ("1.2.3", "1.2.9")
    assert (device.grouping, device.tolerates_leading_zeros) == (Grouping.ACCESSION, True)
    with sqlite.read() as view:
        assert registry.devices(view) == registry.devices(view, institution.id) == [device]
        assert registry.devices(view, 99) == []


def test_a_device_is_registered_once_per_institution(sqlite: SqlLedger, account: Account) -> None:
    """The AE title is its name there."""
    institution = add(sqlite, account, "A")
    add_device(sqlite, institution, "CT", ["10.1.0.0/16"])

    with pytest.raises(NameTaken, match="'CT'"):
        add_device(sqlite, institution, "CT", ["10.2.0.0/16"])


@pytest.mark.parametrize(
    "first, second, says",
    [
        ([], [], "any network"),
        (["10.1.0.0/16"], ["10.1.0.0/16"], "10.1.0.0/16"),
        (["10.1.0.0/16", "10.2.0.0/16"], ["10.2.0.0/16", "10.3.0.0/16"], "10.2.0.0/16"),
    ],
)
def test_devices_that_could_be_mistaken_are_refused(
    sqlite: SqlLedger, account: Account, first: list[str], second: list[str], says: str
) -> None:
    """Two hospitals' images must not mix: same AE title, same network, common called title."""
    one, two = add(sqlite, account, "A"), add(sqlite, account, "B")
    add_device(sqlite, one, "CT", first)
    before = dump(sqlite)

    with pytest.raises(Ambiguous, match=says):
        add_device(sqlite, two, "CT", second)

    assert dump(sqlite) == before


@pytest.mark.parametrize(
    "titles, first, second",
    [
        ((None, None), ["10.1.0.0/16"], ["10.2.0.0/16"]),
        ((None, None), [], ["10.2.0.0/16"]),
        (("A_GATE", "B_GATE"), [], []),
        (("A_GATE", "B_GATE"), ["10.1.0.0/16"], ["10.1.0.0/16"]),
    ],
)
def test_devices_that_can_be_told_apart_may_share_a_title(
    sqlite: SqlLedger,
    account: Account,
    titles: tuple[str | None, str | None],
    first: list[str],
    second: list[str],
) -> None:
    """By the network they call from, or by the title that they call."""
    one = add(sqlite, account, "A", called=titles[0])
    two = add(sqlite, account, "B", called=titles[1])

    add_device(sqlite, one, "CT", first)
    add_device(sqlite, two, "CT", second)

    with sqlite.read() as view:
        assert len(registry.devices(view)) == 2


def test_one_called_title_is_not_enough_to_tell_two_apart(
    sqlite: SqlLedger, account: Account
) -> None:
    """The hospital without a title of its own could still be meant by either."""
    one, two = add(sqlite, account, "A", called="A_GATE"), add(sqlite, account, "B")
    add_device(sqlite, one, "CT")

    with pytest.raises(Ambiguous):
        add_device(sqlite, two, "CT")
