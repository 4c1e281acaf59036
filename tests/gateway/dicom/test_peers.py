"""DCMTK's senders against the gate: real files, byte for byte, and without Nagle's pauses."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from gateway.dicom.access import Registry
from gateway.dicom.negotiation import accepted_contexts
from gateway.dicom.status import Failure, answer_for
from quota.admission import RefusalReason
from tests.gateway.dicom.files import RealFile, real_file, real_files
from tests.gateway.dicom.support import (
    DEVICE,
    INSTITUTION,
    WAIT_S,
    Gate,
    Recorder,
    open_gate,
)
from tests.peers import peer

pytestmark = [pytest.mark.peer, pytest.mark.slow]

# How storescu is told to propose a transfer syntax.
OPTION_OF = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}
# What storescu sends although it is not in order: UIDs made of hexadecimal digits by a
# de-identifier, and images without a study.
REFUSED = {
    "bad_sequence.dcm": Failure.UID_INVALID,
    "JPEGLSNearLossless_08.dcm": Failure.UID_MISMATCH,
    "JPEGLSNearLossless_16.dcm": Failure.UID_MISMATCH,
    "SC_rgb_jls_lossy_line.dcm": Failure.UID_MISMATCH,
    "SC_rgb_jls_lossy_sample.dcm": Failure.UID_MISMATCH,
}


def storescu(port: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run DCMTK's storescu as CT1 with DCMTK's own settings of the socket."""
    command = (peer("storescu"), "-aet", "CT1", "-aec", "TOLLGATE", "127.0.0.1", str(port))
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )


@contextmanager
def stock_acceptor() -> Iterator[tuple[int, list[bytes]]]:
    """pynetdicom's own acceptor with our contexts: what came over the wire, by its reading."""
    received: list[bytes] = []

    def keep(event: Any) -> None:
        if event.message.data_set.getvalue():
            received.append(event.message.data_set.getvalue())

    entity = ApplicationEntity("TOLLGATE")
    entity.supported_contexts = list(accepted_contexts())
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_DIMSE_RECV, keep)]
    )
    assert server is not None
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()


def by_option() -> dict[str, list[RealFile]]:
    """The real files that storescu can propose, by the option that does it."""
    groups = defaultdict(list)
    for file in real_files():
        if option := OPTION_OF.get(file.transfer_syntax_uid):
            groups[option].append(file)
    return groups


@pytest.mark.parametrize("option", sorted(OPTION_OF.values()))
def test_every_real_file_arrives_byte_by_byte(option: str) -> None:
    """What DCMTK sends is what the store gets: pynetdicom's acceptor is the witness."""
    files = by_option()[option]
    refused: dict[str, Failure] = {}
    with open_gate() as gate, stock_acceptor() as (witness_port, witnessed):
        for file in files:
            # One call each: storescu ends at the first file that it can't read itself.
            sent = storescu(gate.port, option, "-R", file.path)
            storescu(witness_port, option, "-R", file.path)
            if "missing SOP class (or instance) in file" in sent.stderr:
                continue
            answer, _ = gate.observed.wait_for("answered")
            if answer.outcome is not None:
                refused[file.path.name] = answer.outcome
            if answer.outcome is Failure.UID_INVALID:
                witnessed.pop()  # the command says so: no byte of the data set is for the store
        assert [data_set for _, data_set in gate.store.asked] == witnessed
        assert len(gate.store.stored) == sum(
            failure is Failure.UID_INVALID for failure in refused.values()
        ) + len(witnessed) - len(refused)
    names = {file.path.name for file in files}
    assert refused == {name: failure for name, failure in REFUSED.items() if name in names}


def test_a_study_on_one_association_arrives_in_order(tmp_path: Path) -> None:
    """A directory of instances, each with a UID of its own."""
    source = real_file("CT_small.dcm").path
    for number in range(30):
        (tmp_path / f"{number:02}.dcm").write_bytes(source.read_bytes())
    with open_gate() as gate:
        sent = storescu(gate.port, "+II", "+sd", tmp_path)
        assert sent.returncode == 0, sent.stderr
        assert len({incoming.sop_instance_uid for incoming, _ in gate.store.stored}) == 30


def test_a_sender_with_nagles_algorithm_does_not_stall(tmp_path: Path) -> None:
    """DCMTK's default waits 40 ms twice per instance for whoever delays acknowledgements."""
    source = real_file("CT_small.dcm").path
    for number in range(50):
        (tmp_path / f"{number:02}.dcm").write_bytes(source.read_bytes())
    with open_gate() as gate:
        began = time.monotonic()
        assert storescu(gate.port, "+II", "+sd", tmp_path).returncode == 0
        took_s = time.monotonic() - began
    assert took_s < 50 * 0.04


def test_storescu_shows_the_refusal_and_its_comment() -> None:
    """What the hospital's staff sees when the quota is used up."""
    refused = answer_for(RefusalReason.GRACE_OVER)
    with open_gate(store=Recorder(answer=lambda _: refused)) as gate:
        sent = storescu(gate.port, "-v", real_file("CT_small.dcm").path)
        assert sent.returncode != 0
        assert "Refused: OutOfResources" in sent.stdout + sent.stderr
        sent = storescu(gate.port, "-d", real_file("CT_small.dcm").path)
        assert refused.comment in sent.stdout + sent.stderr


@pytest.mark.parametrize(
    "calling, called, code",
    [("CT1", "TOLLGATE", 0), ("NOBODY", "TOLLGATE", 1), ("CT1", "OTHER", 1)],
)
def test_echoscu_tells_whether_the_device_is_registered(
    calling: str, called: str, code: int
) -> None:
    """The first thing that an engineer tries."""
    with open_gate() as gate:
        ran = subprocess.run(
            [peer("echoscu"), "-aet", calling, "-aec", called, "127.0.0.1", str(gate.port)],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == code


def test_an_institutions_own_title_tells_two_hospitals_apart() -> None:
    """The same calling title twice, resolved by the called title."""
    south = replace(INSTITUTION, id=2, name="South", called_ae_title="SOUTH")
    registry = Registry(
        institutions=(INSTITUTION, south),
        devices=(DEVICE, replace(DEVICE, id=2, institution_id=2)),
    )
    with open_gate(registry=lambda: registry) as gate:
        assert storescu(gate.port, real_file("CT_small.dcm").path).returncode != 0
        assert _send_as(gate, "SOUTH") == 0
        assert [incoming.institution_id for incoming, _ in gate.store.stored] == [2]


def _send_as(gate: Gate, called: str) -> int:
    command = (peer("storescu"), "-aet", "CT1", "-aec", called, "127.0.0.1", str(gate.port))
    return subprocess.run(
        [*command, real_file("CT_small.dcm").path], timeout=WAIT_S, check=False
    ).returncode


def test_deflated_is_taken_where_a_setting_offers_it() -> None:
    """And the data set handed over is the deflated one, as sent."""
    path = real_file("CT_small.dcm").path
    with open_gate(offer_deflated=True) as gate:
        association_of = storescu(gate.port, "-xd", "-R", real_file("image_dfl.dcm").path)
        assert association_of.returncode == 0, association_of.stderr
        assert gate.store.stored[0][0].transfer_syntax_uid == "1.2.840.10008.1.2.1.99"
        assert storescu(gate.port, path).returncode == 0


def test_dcmsend_goes_on_after_a_refusal(tmp_path: Path) -> None:
    """A sender that sends the rest finds every answer in place."""
    for number, name in enumerate(("CT_small.dcm", "MR_small.dcm")):
        (tmp_path / f"{number}.dcm").write_bytes(real_file(name).path.read_bytes())

    def refuses_ct(incoming: Any) -> Any:
        ct = incoming.description.modality == "CT"
        return answer_for(RefusalReason.GRACE_OVER) if ct else Recorder().answer(incoming)

    with open_gate(store=Recorder(answer=refuses_ct)) as gate:
        command = (peer("dcmsend"), "-aet", "CT1", "-aec", "TOLLGATE", "+sd")
        subprocess.run(
            [*command, "127.0.0.1", str(gate.port), tmp_path],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert len(gate.store.asked) == 2
        assert [incoming.description.modality for incoming, _ in gate.store.stored] == ["MR"]
