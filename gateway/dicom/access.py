"""Who may associate: A-ASSOCIATE → Accepted(institution, device) | Rejected(rejection). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from storage.records import Device, Institution

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

AE_TITLE_CHARACTERS_MAX = 16
_ANY_SOURCE = -1


class Rejection(Enum):
    """A-ASSOCIATE-RJ as result, source, reason (PS3.8 Table 9-21)."""

    CALLED_AE_UNKNOWN = (1, 1, 7)
    CALLING_AE_UNKNOWN = (1, 1, 3)
    APPLICATION_CONTEXT_UNKNOWN = (1, 1, 2)
    PROTOCOL_VERSION_UNKNOWN = (1, 2, 2)
    LOCAL_LIMIT = (2, 3, 2)
    CONGESTION = (2, 3, 1)

    @property
    def label(self) -> str:
        """A stable name for events and metrics."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The requestor is known: `device` may send for `institution`."""

    institution: Institution
    device: Device


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The requestor may not associate."""

    rejection: Rejection


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The open institutions and devices, indexed; what is closed is left out when it is made.

    A device whose institution is closed is closed with it.
    """

    institutions: tuple[Institution, ...]
    devices: tuple[Device, ...]
    _by_called: Mapping[str, frozenset[int]] = field(init=False, repr=False, compare=False)
    _by_calling: Mapping[str, tuple[_Candidate, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Close what is closed, and build the indexes."""
        institutions = tuple(each for each in self.institutions if each.closed_at is None)
        by_id = {institution.id: institution for institution in institutions}
        devices = tuple(
            device
            for device in self.devices
            if device.closed_at is None and device.institution_id in by_id
        )
        by_called = defaultdict(set)
        for institution in institutions:
            if institution.called_ae_title is not None:
                by_called[institution.called_ae_title].add(institution.id)
        by_calling = defaultdict(list)
        for device in sorted(devices, key=lambda device: device.id):
            by_calling[device.ae_title].append(_candidate(by_id[device.institution_id], device))
        # A frozen dataclass lets its own __post_init__ do this, and nobody else.
        set_once = object.__setattr__
        set_once(self, "institutions", institutions)
        set_once(self, "devices", devices)
        set_once(self, "_by_called", {key: frozenset(ids) for key, ids in by_called.items()})
        set_once(self, "_by_calling", {key: tuple(found) for key, found in by_calling.items()})

    def institutions_called(self, ae_title: str) -> frozenset[int]:
        """Ids of the institutions that have `ae_title` as their own title at the gateway."""
        return self._by_called.get(ae_title, frozenset())

    def candidates(self, ae_title: str) -> tuple[_Candidate, ...]:
        """The devices with the calling title `ae_title`, by rising id."""
        return self._by_calling.get(ae_title, ())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """A device with its networks read; no network at all admits any source."""

    accepted: Accepted
    networks: tuple[Network, ...]
    any_source: bool

    def specificity(self, source: Address) -> int | None:
        """Prefix length of the narrowest network around `source`; None if it lies in none."""
        if self.any_source:
            return _ANY_SOURCE
        return max(
            (network.prefixlen for network in self.networks if source in network), default=None
        )


def _candidate(institution: Institution, device: Device) -> _Candidate:
    return _Candidate(
        accepted=Accepted(institution=institution, device=device),
        networks=tuple(_readable(device.networks)),
        # Not `not networks`: a device whose only network can't be read must not become open to all.
        any_source=not device.networks,
    )


def _readable(networks: Iterable[str]) -> Iterable[Network]:
    for text in networks:
        try:
            yield ip_network(text, strict=False)
        except ValueError:
            continue


def check_access(
    *,
    called_ae_title: str,
    calling_ae_title: str,
    source: str,
    common_ae_title: str,
    registry: Registry,
) -> Accepted | Rejected:
    """Decide on an association request. `source` is the peer's IP address as text.

    The called title must be the common one or an institution's own (else 1/1/7); with the common
    one every device may call, with an institution's own only its devices. Of the devices with the
    calling title the one with the narrowest network around `source` is meant; none, or equally
    narrow ones of different institutions, is nobody we know (1/1/3). PS3.8 9.3.4.
    """
    called, calling = called_ae_title.strip(" "), calling_ae_title.strip(" ")
    if not is_ae_title(called):
        return Rejected(rejection=Rejection.CALLED_AE_UNKNOWN)
    owners = None if called == common_ae_title else registry.institutions_called(called)
    if owners is not None and not owners:
        return Rejected(rejection=Rejection.CALLED_AE_UNKNOWN)
    address = _address(source)
    if not is_ae_title(calling) or address is None:
        return Rejected(rejection=Rejection.CALLING_AE_UNKNOWN)
    best = _narrowest(registry.candidates(calling), address, owners)
    if len({accepted.institution.id for accepted in best}) != 1:
        return Rejected(rejection=Rejection.CALLING_AE_UNKNOWN)
    return best[0]


def _narrowest(
    candidates: Iterable[_Candidate], source: Address, owners: frozenset[int] | None
) -> list[Accepted]:
    """The acceptable devices whose network around `source` is the narrowest, by rising id."""
    found = [
        (specificity, candidate.accepted)
        for candidate in candidates
        if owners is None or candidate.accepted.institution.id in owners
        if (specificity := candidate.specificity(source)) is not None
    ]
    narrowest = max((specificity for specificity, _ in found), default=None)
    return [accepted for specificity, accepted in found if specificity == narrowest]


def is_ae_title(title: str) -> bool:
    """PS3.5 6.2, VR AE: 1 to 16 printable ASCII characters without backslash."""
    return (
        0 < len(title) <= AE_TITLE_CHARACTERS_MAX
        and title.isascii()
        and title.isprintable()
        and "\\" not in title
    )


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
