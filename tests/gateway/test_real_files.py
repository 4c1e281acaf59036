"""Every real file that DCMTK can send arrives, its data set byte for byte what DCMTK sent.

DCMTK encodes some files anew, so the files themselves are no measure. The same programs send the
same files once more, to a recorder that keeps every byte; what the gateway keeps must be that.
Many files share a SOP Instance UID: the first filed stays, other contents go to quarantine.
"""

from __future__ import annotations

import os
import subprocess
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.misc import is_dicom
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.service_class import ServiceClass, StorageServiceClass
from pynetdicom.sop_class import register_uid, uid_to_service_class

from gateway.dicom.negotiation import storage_sop_classes, transfer_syntaxes
from tests.durability.evidence import data_set_of, query
from tests.durability.site import document, ready
from tests.harness import RunningGateway
from tests.peers import peer

STORESCU_PROPOSES = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.1.99": "-xd",
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
UNREADABLE: Mapping[str, str] = {
    "MR_truncated.dcm": "the pixel data ends too early",
    "SC_rgb_jpeg.dcm": "the data set is not in the declared transfer syntax",
    "UN_sequence.dcm": "no SOP class",
    "chrSQEncoding.dcm": "no SOP class",
    "chrSQEncoding1.dcm": "no SOP class",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "ends within the pixel data",
    "empty_charset_LEI.dcm": "no SOP class",
    "explicit_VR-UN.dcm": "a fragment of pixel data has an odd length",
    "meta_missing_tsyntax.dcm": "no SOP class and no transfer syntax",
    "nested_priv_SQ.dcm": "no SOP class",
    "no_meta.dcm": "begins with neither a preamble nor an element",
    "no_meta_group_length.dcm": "no SOP class",
    "priv_SQ.dcm": "no SOP class",
    "rtdose_rle.dcm": "a fragment of pixel data has an odd length",
    "rtdose_rle_1frame.dcm": "a fragment of pixel data has an odd length",
    "rtplan_truncated.dcm": "ends within a sequence",
}
"""Files that DCMTK 3.6.7 gives up before it sends anything, and why."""
REFUSED: Mapping[str, str] = {
    "JPEGLSNearLossless_08.dcm": "0xA900",  # no Study Instance UID
    "JPEGLSNearLossless_16.dcm": "0xA900",
    "SC_rgb_jls_lossy_line.dcm": "0xA900",
    "SC_rgb_jls_lossy_sample.dcm": "0xA900",
    "bad_sequence.dcm": "0x0117",  # UIDs of hexadecimal digits
}
"""Files that DCMTK sends although no archive may take them, and the status they deserve."""
OF_NO_PATIENT = "palettes"
"""A folder of colour palettes: they belong to no study and are no upload (PS3.4 GG)."""

Content = tuple[str, bytes]
"""Transfer syntax and data set."""


def folder(package: str, name: str) -> Path:
    """A folder of files that came with a package."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / name


def files_in(top: Path) -> list[Path]:
    """What DCMTK reads and is not a directory of a medium, in a fixed order."""
    return sorted(
        path
        for path in top.rglob("*")
        if path.is_file() and "DICOMDIR" not in path.name and OF_NO_PATIENT not in path.parts
        if path.name not in UNREADABLE
        if path.suffix == ".dcm" or is_dicom(path)
    )


def storescu(option: str, files: Sequence[Path], port: int) -> str:
    """Propose only what `option` says, send, go on after a refusal; returns what was said."""
    called = ("-aet", "CT1", "-aec", "TOLLGATE", "127.0.0.1", str(port))
    sent = subprocess.run(
        [peer("storescu"), "-v", "-R", "-nh", option, *called, *files],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return sent.stdout + sent.stderr


def send_all(files: Sequence[Path], port: int) -> None:
    """Send every file in its own transfer syntax; each of them must be answered with 0x0000."""
    by_option: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        by_option[proposal(path)].append(path)
    for option, group in sorted(by_option.items()):
        said = storescu(option, group, port)
        assert said.count("Received Store Response (Success)") == len(group), said


def proposal(path: Path) -> str:
    """storescu's option for the transfer syntax of a file; one without meta information is sent
    in what DCMTK takes it for."""
    with warnings.catch_warnings(action="ignore"):
        meta = dcmread(path, stop_before_pixels=True, force=True).file_meta
    return STORESCU_PROPOSES[str(meta.get("TransferSyntaxUID", "1.2.840.10008.1.2.1"))]


@dataclass
class Recorder:
    """Keeps what is sent to it, in order, by SOP Instance UID."""

    contents: dict[str, list[Content]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0

    def keep(self, event: evt.Event) -> int:
        """Handle a C-STORE: keep the bytes as they came, each content once."""
        self.count += 1
        request = event.request
        assert isinstance(request, C_STORE)
        assert isinstance(request.DataSet, BytesIO)
        content = (str(event.context.transfer_syntax), request.DataSet.getvalue())
        known = self.contents[str(request.AffectedSOPInstanceUID)]
        if content not in known:
            known.append(content)
        return 0x0000


@contextmanager
def recording() -> Iterator[tuple[Recorder, int]]:
    """A recorder that accepts what the gateway accepts, and its port."""
    recorder = Recorder()
    entity = ApplicationEntity("TOLLGATE")
    for number, sop_class in enumerate(storage_sop_classes()):
        entity.add_supported_context(sop_class, list(transfer_syntaxes(offer_deflated=True)))
        if uid_to_service_class(sop_class) is ServiceClass:
            # Retired ones: unless told, pynetdicom does not know what to do with them.
            register_uid(sop_class, f"RetiredStorage{number}", StorageServiceClass)
    handlers: list[Any] = [(evt.EVT_C_STORE, recorder.keep)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield recorder, server.server_address[1]
    finally:
        server.shutdown()


def recorded(files: Sequence[Path]) -> Recorder:
    """What DCMTK makes of the files."""
    with recording() as (recorder, port):
        send_all(files, port)
    assert recorder.count == len(files)
    return recorder


def kept(data_dir: Path) -> dict[str, list[Content]]:
    """What the gateway has, in the same form: the first filed, then what was set aside."""
    found: dict[str, list[Content]] = defaultdict(list)
    columns = "sop_instance_uid, transfer_syntax_uid, object_key"
    filed = query(data_dir, f"SELECT {columns} FROM instances")  # noqa: S608 - our own
    aside = query(data_dir, f"SELECT {columns} FROM conflicts ORDER BY id")  # noqa: S608 - our own
    for uid, syntax, key in [*filed, *aside]:
        data_set = data_set_of(data_dir / "archive" / str(key))
        found[str(uid)].append((str(syntax), data_set))
    return found


def assert_shown_as_set_aside(data_dir: Path, sent: Recorder) -> None:
    """`exam show` lists every further content under a known UID, and nothing else."""
    holders = query(data_dir, "SELECT DISTINCT examination_id FROM conflicts")
    shown = [
        quarantined["sop_instance_uid"]
        for (examination_id,) in holders
        for quarantined in document(data_dir, "exam", "show", str(examination_id))["quarantined"]
    ]
    expected = [uid for uid, contents in sent.contents.items() for _ in contents[1:]]
    assert sorted(shown) == sorted(expected)


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "top",
    [folder("data_store", "data"), folder("pydicom", "data")],
    ids=["pydicom-data", "pydicom"],
)
def test_every_real_file_arrives_byte_for_byte(top: Path, tmp_path: Path) -> None:
    """JPEG, JPEG-LS, JPEG 2000, RLE, deflated, both byte orders: kept as they came."""
    files = [path for path in files_in(top) if path.name not in REFUSED]
    sent = recorded(files)
    offer = {"TOLLGATE_DICOM__OFFER_DEFLATED": "true"}
    with RunningGateway(ready(tmp_path / "data"), environment=offer) as gateway:
        send_all(files, gateway.dicom_port)
        gateway.drained()
        assert kept(gateway.data_dir) == sent.contents
        assert_shown_as_set_aside(gateway.data_dir, sent)
        send_all(files, gateway.dicom_port)
        gateway.drained()
        assert kept(gateway.data_dir) == sent.contents
        exams = gateway.json("exam", "list")
        assert gateway.json("account", "show", "Lakeside")["meters"]["exam"]["used"] == len(exams)
        assert gateway.run("verify").returncode == 0
        assert gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.peer
def test_what_no_archive_may_take_is_answered_by_the_status_table(tmp_path: Path) -> None:
    """A file without a study, or with letters in its UIDs, is refused and costs nothing."""
    everything = [*files_in(folder("data_store", "data")), *files_in(folder("pydicom", "data"))]
    by_name = {path.name: path for path in everything if path.name in REFUSED}
    assert by_name.keys() == REFUSED.keys()
    debug = {"TOLLGATE_LOG__LEVEL": "debug"}
    with RunningGateway(ready(tmp_path / "data"), environment=debug) as gateway:
        for name in REFUSED:
            storescu(proposal(by_name[name]), [by_name[name]], gateway.dicom_port)
        assert gateway.stop() == 0
    answers = [line["status"] for line in gateway.log if line["event"] == "store_answered"]
    assert answers == list(REFUSED.values())
    assert kept(gateway.data_dir) == {}
    assert query(gateway.data_dir, "SELECT id FROM examinations") == []
