"""Which presentation contexts are accepted, and in which transfer syntax."""

from __future__ import annotations

import pytest
from pydicom.uid import UID, UID_dictionary
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.presentation import build_context, negotiate_as_acceptor

from gateway.dicom.encoding import DEFLATED_UID
from gateway.dicom.negotiation import (
    LOSSLESS,
    LOSSY,
    PERHAPS_LOSSY,
    UNCOMPRESSED,
    VERIFICATION_UID,
    accepted_contexts,
    storage_sop_classes,
    transfer_syntaxes,
)
from tests.gateway.dicom.support import CT_IMAGE_STORAGE, EXPLICIT_LITTLE

EXPLICIT, IMPLICIT, BIG = UNCOMPRESSED
BASELINE, LOSSLESS_SV1, J2K_LOSSLESS, J2K = (
    f"1.2.840.10008.1.2.4.{suffix}" for suffix in (50, 70, 90, 91)
)
NOT_OFFERED = {
    DEFLATED_UID,
    *(f"1.2.840.10008.1.2.4.{jpip}" for jpip in (94, 95, 204, 205)),
    *("1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2", "1.2.840.10008.1.20"),
    *(f"1.2.840.10008.1.2.7.{smpte}" for smpte in (1, 2, 3)),
}


def chosen(*proposed: str, sop_class: str = CT_IMAGE_STORAGE) -> str | None:
    """The transfer syntax that pynetdicom's acceptor takes of our contexts; None if none."""
    requested = build_context(sop_class, list(proposed))
    requested.context_id = 1
    results, _ = negotiate_as_acceptor([requested], list(accepted_contexts()))
    return str(results[0].transfer_syntax[0]) if results[0].result == 0 else None


@pytest.mark.parametrize(
    "proposed, expected",
    [
        ((BASELINE, IMPLICIT, EXPLICIT), EXPLICIT),
        ((BASELINE, BIG, IMPLICIT), IMPLICIT),
        ((BIG, J2K_LOSSLESS), BIG),
        ((BASELINE, J2K, J2K_LOSSLESS), J2K_LOSSLESS),
        ((BASELINE, LOSSLESS_SV1), LOSSLESS_SV1),
        ((BASELINE, J2K), J2K),
        ((BASELINE,), BASELINE),
        ((DEFLATED_UID,), None),
        (("1.2.840.10008.1.2.4.94",), None),
    ],
)
def test_lossy_is_chosen_only_where_it_is_proposed_alone(
    proposed: tuple[str, ...], expected: str | None
) -> None:
    """Explicit little endian, implicit, big endian, lossless, perhaps lossy, lossy."""
    assert chosen(*proposed) == expected


def test_every_transfer_syntax_that_pydicom_knows_is_offered_or_left_out_on_purpose() -> None:
    """A new one in pydicom makes somebody decide."""
    known = {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}
    assert known - set(transfer_syntaxes()) == NOT_OFFERED
    assert len(set(transfer_syntaxes())) == len(transfer_syntaxes())


def test_deflated_is_offered_by_setting_only_and_comes_last() -> None:
    """A small object can inflate to a huge one."""
    assert DEFLATED_UID not in transfer_syntaxes()
    assert transfer_syntaxes(offer_deflated=True)[-1] == DEFLATED_UID


def test_every_storage_class_is_accepted_retired_ones_too() -> None:
    """Old archives are migrated through gateways like this one."""
    contexts = {str(context.abstract_syntax) for context in accepted_contexts()}
    assert {str(context.abstract_syntax) for context in AllStoragePresentationContexts} < contexts
    assert VERIFICATION_UID in contexts
    retired = [UID(uid) for uid in storage_sop_classes() if UID(uid).is_retired]
    assert len(retired) > 15
    assert all("Storage" in uid.name for uid in retired)


def test_private_classes_are_accepted_from_the_device_that_has_them() -> None:
    """They are part of that device's contexts alone."""
    private = "1.3.46.670589.5.0.1"
    assert private not in {str(context.abstract_syntax) for context in accepted_contexts()}
    of_device = accepted_contexts((private, CT_IMAGE_STORAGE))
    assert [str(context.abstract_syntax) for context in of_device].count(private) == 1
    assert [str(context.abstract_syntax) for context in of_device].count(CT_IMAGE_STORAGE) == 1


def test_the_groups_of_syntaxes_do_not_overlap() -> None:
    """Each syntax has one place in the order."""
    groups = (UNCOMPRESSED, LOSSLESS, PERHAPS_LOSSY, LOSSY)
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert EXPLICIT == EXPLICIT_LITTLE
