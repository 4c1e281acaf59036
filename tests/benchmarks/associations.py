"""What idle, silent and many associations cost: the figures of the upper layer alone.

Run by hand: `python -m tests.benchmarks.associations`. The gateway is a process of its own with a
store that keeps nothing. Prints what it finds, and fails on nothing but a store that is not
answered 0x0000.
"""

from __future__ import annotations

import multiprocessing
import resource
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console

from tests.benchmarks.peers.processes import cpu_s
from tests.gateway.dicom.raw import (
    COMMAND_LAST,
    DATA_LAST,
    RawRequestor,
    associate_rq,
    pdv,
    store_command,
)
from tests.gateway.dicom.support import ct_image, encoded, open_gate

IDLE, STALLED, MANY, STORES = 200, 1_000, 2_000, 200
WATCHED_S = 10.0
IMAGE = encoded(ct_image())


def main() -> None:
    """Measure one after the other."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    say = Console().print
    with gateway() as (pid, port):
        say(f"{IDLE} idle associations: {idle(pid, port):.2%} of a core")
    with gateway() as (_, port):
        p99_ms, closed_s = stalled(port)
        say(f"{STALLED} stalled: store p99 {p99_ms:.0f} ms, all closed {closed_s:.1f} s after")
    with gateway() as (pid, port):
        p99_ms, mib = many(pid, port)
        say(f"{MANY} associations open: store p99 {p99_ms:.0f} ms, {mib:.0f} MiB resident")


@contextmanager
def gateway() -> Iterator[tuple[int, int]]:
    """A gateway in a process of its own: its id and port."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(its,))
    process.start()
    try:
        yield int(process.pid or 0), int(ours.recv())
    finally:
        ours.send(None)
        process.join()


def _serve(told: Connection) -> None:
    room = MANY + 100
    with open_gate(associations_max=room, associations_per_source_max=room) as gate:
        told.send(gate.port)
        told.recv()


def idle(pid: int, port: int) -> float:
    """The share of a core that idle associations take."""
    with _associated(port, IDLE):
        before_s = cpu_s(pid)
        # tidy: sleeps because idleness is what is measured.
        time.sleep(WATCHED_S)
        return (cpu_s(pid) - before_s) / WATCHED_S


def stalled(port: int) -> tuple[float, float]:
    """p99 of a store in ms while others stall in their requests, and when all were closed, in s."""
    began_s = time.monotonic()
    others = [socket.create_connection(("127.0.0.1", port)) for _ in range(STALLED)]
    for one in others:
        one.sendall(associate_rq()[:60])
    p99_ms = _stores(port)
    for one in others:
        one.settimeout(30)
        try:
            while one.recv(100):
                pass
        except ConnectionResetError:
            pass
        one.close()
    return p99_ms, time.monotonic() - began_s


def many(pid: int, port: int) -> tuple[float, float]:
    """p99 of a store in ms beside many open associations, and the gateway's size in MiB."""
    with _associated(port, MANY):
        p99_ms = _stores(port)
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return p99_ms, pages * 4_096 / 2**20


@contextmanager
def _associated(port: int, count: int) -> Iterator[None]:
    requestors: list[RawRequestor] = []
    try:
        for _ in range(count):
            # One after the other: of many that only ask, the oldest would have to go.
            requestors.append(RawRequestor(port))
            requestors[-1].associate()
        yield
    finally:
        for requestor in requestors:
            requestor.socket.close()


def _stores(port: int) -> float:
    """Associate and store, again and again; p99 of the time for both in ms."""
    times = []
    for _ in range(STORES):
        began_s = time.monotonic()
        with RawRequestor(port) as requestor:
            requestor.associate()
            requestor.send(pdv(COMMAND_LAST, store_command()), pdv(DATA_LAST, IMAGE))
            assert requestor.status() == 0x0000
        times.append(time.monotonic() - began_s)
    return statistics.quantiles(times, n=100)[98] * 1_000


if __name__ == "__main__":
    main()
