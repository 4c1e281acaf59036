"""What a remote archive is asked for, and what becomes of its failures."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storage.archive import Archive, RemoteAccess, open_archive
from storage.errors import ArchiveUnavailable
from tests.storage.archiving import put_batch
from tests.storage.bucket import Buckets

KEY = "objects/e1/0/a.dcm"


class Recorder(ThreadingHTTPServer):
    """Answers every PUT with one status, and remembers what was asked."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def access(self) -> RemoteAccess:
        """The bucket behind it."""
        return RemoteAccess(
            url="s3://bucket/prefix/",
            endpoint=f"http://127.0.0.1:{self.server_address[1]}",
            region="us-east-1",
            access_key_id="id",
            secret_access_key="secret",
        )


class _Answer(BaseHTTPRequestHandler):
    server: Recorder

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, {**self.headers}))
        self.send_response(self.server.status)
        self.send_header("ETag", '"e"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def recorder(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A running recorder that answers with the given status."""
    with Recorder(request.param) as recorder:
        thread = threading.Thread(target=recorder.serve_forever, args=(0.01,))
        thread.start()
        yield recorder
        recorder.shutdown()
        thread.join()


def archive_at(access: RemoteAccess) -> Archive:
    """The archive there."""
    return open_archive(Path("unused"), remote=access)


@pytest.mark.parametrize("recorder", [200], indirect=True)
def test_a_put_carries_a_checksum_and_no_condition(recorder: Recorder) -> None:
    """The store compares what arrived; conditions, which some stores ignore, are not relied on."""
    put = archive_at(recorder.access).put(KEY, (b"con", b"tent"))

    ((path, headers),) = recorder.requests
    assert path == f"/bucket/prefix/{KEY}"
    digest = base64.b64encode(hashlib.sha256(b"content").digest()).decode()
    assert {name.lower(): value for name, value in headers.items()}[
        "x-amz-checksum-sha256"
    ] == digest
    assert not [name for name in headers if name.lower().startswith("if-")]
    assert put.fingerprint == "etag:e"


@pytest.mark.slow
@pytest.mark.parametrize("recorder", [503], indirect=True)
def test_a_store_that_is_down_is_tried_a_few_times(recorder: Recorder) -> None:
    """Then it is unavailable, and neither key nor address is in the message; nothing is final."""
    archive = archive_at(recorder.access)

    with pytest.raises(ArchiveUnavailable) as caught:
        archive.put(KEY, (b"x",))

    assert 2 <= len(recorder.requests) <= 4
    assert "objects" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert not archive.sick


@pytest.mark.slow
@pytest.mark.parametrize("recorder", [403], indirect=True)
def test_a_batch_ends_with_its_first_failure(recorder: Recorder) -> None:
    """A hundred objects are not all tried at a store that turns us away."""
    contents = {f"objects/e/0/{n}": (b"x",) for n in range(100)}

    with pytest.raises(ArchiveUnavailable):
        put_batch(archive_at(recorder.access), contents)

    assert len(recorder.requests) < 50


@pytest.mark.slow
def test_nobody_there_is_unavailable(buckets: Buckets) -> None:
    """A refused connection, a bucket that nobody made: every question says so."""
    access = buckets.new()
    for astray in (
        RemoteAccess(url="s3://bucket", endpoint="http://127.0.0.1:9", region="us-east-1"),
        RemoteAccess(
            url="s3://no-such-bucket",
            endpoint=access.endpoint,
            region="us-east-1",
            access_key_id="id",
            secret_access_key="secret",
        ),
    ):
        with pytest.raises(ArchiveUnavailable):
            archive_at(astray).put(KEY, (b"x",))
        with pytest.raises(ArchiveUnavailable):
            list(archive_at(astray).list("objects"))


def test_the_secret_is_in_no_text() -> None:
    """Neither an error nor a traceback with values may show it."""
    access = RemoteAccess(url="s3://bucket", secret_access_key="hush")

    assert "hush" not in repr(access)
