"""An S3-compatible store in this process, and buckets in it."""

from __future__ import annotations

import urllib.request
from itertools import count

from moto.server import ThreadedMotoServer

from storage.archive import RemoteAccess

_KEY = "testing"


class Buckets:
    """A server on a free port of 127.0.0.1; it is stopped at the end of the block."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._names = count(1)
        self.endpoint = ""

    def __enter__(self) -> Buckets:
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def new(self) -> RemoteAccess:
        """A new, empty bucket, and a prefix in it."""
        name = f"bucket-{next(self._names)}"
        made = urllib.request.Request(  # noqa: S310 - the address is our own server's
            f"{self.endpoint}/{name}", method="PUT"
        )
        with urllib.request.urlopen(made) as answer:  # noqa: S310 - as above
            assert answer.status == 200
        return RemoteAccess(
            url=f"s3://{name}/hospital/north",
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=_KEY,
            secret_access_key=_KEY,
        )
