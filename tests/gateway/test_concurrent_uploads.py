"""Who sends what, when and from where: one examination, one charge, one copy all the same."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom.association import Association

from tests.durability.evidence import charges_of, check, filed_objects, objects, query
from tests.durability.scu import (
    CT_IMAGE_STORAGE,
    STORED,
    Image,
    associate,
    association,
    end,
    image,
    of_data_set,
    store,
)
from tests.durability.site import ACCOUNT, command, ready
from tests.harness import RunningGateway, wait_until

ROUNDS = 40


def at_once(associations: Sequence[Association], images: Sequence[Image]) -> list[int | None]:
    """Store each image on its association, all beginning together; returns the answers."""
    start = threading.Barrier(len(images))
    answers: list[int | None] = [None] * len(images)

    def send(number: int) -> None:
        start.wait()
        answers[number] = store(associations[number], images[number])

    senders = [threading.Thread(target=send, args=(number,)) for number in range(len(images))]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return answers


@pytest.mark.slow
def test_first_instances_of_one_study_at_once_are_one_examination(tmp_path: Path) -> None:
    """Two associations race for the admission in many rounds: one is charged, both are stored."""
    with RunningGateway(ready(tmp_path / "data")) as gateway:
        both = [associate(gateway.dicom_port) for _ in range(2)]
        sent = []
        for study in range(ROUNDS):
            pair = [image(study, 1), image(study, 2)]
            assert at_once(both, pair) == [STORED, STORED]
            sent += pair
        for each in both:
            end(each)
        check(gateway.data_dir, sent)
        assert query(gateway.data_dir, "SELECT count(*) FROM charges") == [(ROUNDS,)]
        assert gateway.stop() == 0


@pytest.mark.slow
def test_one_instance_at_once_on_two_associations_is_kept_once(tmp_path: Path) -> None:
    """Both are answered with 0x0000; there is one row, one charge and one copy on the disk."""
    with RunningGateway(ready(tmp_path / "data")) as gateway:
        both = [associate(gateway.dicom_port) for _ in range(2)]
        sent = [image(study) for study in range(ROUNDS)]
        for each in sent:
            assert at_once(both, [each, each]) == [STORED, STORED]
        for one in both:
            end(one)
        check(gateway.data_dir, sent)
        assert query(gateway.data_dir, "SELECT count(*) FROM charges") == [(ROUNDS,)]
        assert objects(gateway.data_dir) == filed_objects(gateway.data_dir)
        assert gateway.stop() == 0


@pytest.mark.slow
def test_two_contents_under_one_uid_at_once_are_both_kept(tmp_path: Path) -> None:
    """One is filed, the other set aside, neither is lost; nothing else lies about."""
    with RunningGateway(ready(tmp_path / "data")) as gateway:
        both = [associate(gateway.dicom_port) for _ in range(2)]
        sent = []
        for study in range(ROUNDS):
            pair = [image(study, content=1), image(study, content=2)]
            assert at_once(both, pair) == [STORED, STORED]
            sent += pair
        for each in both:
            end(each)
        check(gateway.data_dir, sent)
        assert objects(gateway.data_dir) == filed_objects(gateway.data_dir)
        assert query(gateway.data_dir, "SELECT count(*) FROM conflicts") == [(ROUNDS,)]
        assert gateway.stop() == 0


@pytest.mark.slow
def test_a_resend_from_another_device_is_a_duplicate(tmp_path: Path) -> None:
    """The archive or workstation that sends it once more pays nothing and adds nothing."""
    data_dir = ready(tmp_path / "data")
    command(data_dir, "device", "add", "PACS", "--institution", "East")
    with RunningGateway(data_dir) as gateway:
        for calling in ("CT1", "PACS", "CT1"):
            with association(gateway.dicom_port, calling=calling) as opened:
                assert store(opened, image(1)) == STORED
        check(data_dir, [image(1)])
        gateway.drained()
        assert gateway.metric('tollgate_stores_total{outcome="stored"}') == 3
        wait_until(lambda: gateway.metric("tollgate_store_duration_seconds_count") == 3)
        assert gateway.metric('tollgate_filings_total{outcome="filed"}') == 1
        assert gateway.metric('tollgate_filings_total{outcome="duplicate"}') == 2
        assert objects(data_dir) == filed_objects(data_dir)
        assert charges_of(data_dir, image(1)) == 1
        assert gateway.stop() == 0


def fundus(study: int, accession: str, patient: str = "P1") -> Image:
    """An image of a camera that gives every image a study of its own."""
    data_set = Dataset()
    data_set.SOPClassUID = CT_IMAGE_STORAGE
    data_set.StudyInstanceUID = f"1.2.826.0.1.9.{study}"
    data_set.SeriesInstanceUID = f"{data_set.StudyInstanceUID}.1"
    data_set.SOPInstanceUID = f"{data_set.StudyInstanceUID}.1.1"
    data_set.StudyDate = "20260102"
    data_set.AccessionNumber = accession
    data_set.PatientID = patient
    data_set.PatientName = "Doe^Jane"
    return of_data_set(data_set)


@pytest.mark.slow
def test_a_fundus_camera_s_studies_of_one_accession_are_one_examination(tmp_path: Path) -> None:
    """Two studies, one accession number: one charge. Another patient or number: another one."""
    data_dir = ready(tmp_path / "data")
    command(data_dir, "device", "add", "FUNDUS", "--institution", "East", "--grouping", "accession")
    one_visit = [fundus(1, "A1"), fundus(2, "A1"), fundus(3, "A1")]
    others = [fundus(4, "A2"), fundus(5, "A1", "P2"), fundus(6, ""), fundus(7, "")]
    with RunningGateway(data_dir) as gateway:
        with association(gateway.dicom_port, calling="FUNDUS") as opened:
            for each in (*one_visit, *others):
                assert store(opened, each) == STORED
        check(data_dir, [*one_visit, *others])
        counts = sorted(exam["instances"] for exam in gateway.json("exam", "list"))
        assert counts == [1, 1, 1, 1, 3]
        assert gateway.json("account", "show", ACCOUNT)["meters"]["exam"]["used"] == 5
        assert gateway.stop() == 0


@pytest.mark.slow
def test_institutions_are_told_apart_by_called_title_and_by_network(tmp_path: Path) -> None:
    """The same calling AE title in several hospitals: each examination is the right one's."""
    data_dir = ready(tmp_path / "data")
    for name, title in (("North", "NORTHGATE"), ("South", "SOUTHGATE")):
        own = ("--account", ACCOUNT, "--ae-title", title)
        command(data_dir, "institution", "create", name, *own)
    for name, network in (("North", "127.0.0.2/32"), ("South", "127.0.0.3/32")):
        command(data_dir, "device", "add", "MR1", "--institution", name, "--network", network)
    ways = [
        ("127.0.0.2", "TOLLGATE", "North"),
        ("127.0.0.3", "TOLLGATE", "South"),
        ("127.0.0.2", "NORTHGATE", "North"),
        ("127.0.0.3", "SOUTHGATE", "South"),
    ]
    with RunningGateway(data_dir) as gateway:
        for number, (source, called, _) in enumerate(ways):
            options = {"calling": "MR1", "called": called, "source": source}
            with association(gateway.dicom_port, **options) as opened:
                assert store(opened, image(number)) == STORED
        for source, called in (("127.0.0.4", "TOLLGATE"), ("127.0.0.2", "SOUTHGATE")):
            stranger = associate(gateway.dicom_port, calling="MR1", called=called, source=source)
            end(stranger)
            assert stranger.is_rejected
        owners = {
            exam["study_instance_uid"]: exam["institution"] for exam in gateway.json("exam", "list")
        }
        assert owners == {
            image(number).study_instance_uid: owner for number, (_, _, owner) in enumerate(ways)
        }
        assert gateway.stop() == 0
