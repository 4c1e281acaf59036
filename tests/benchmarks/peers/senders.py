"""The two senders. Both send folders of Part 10 files, one association a folder, all at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import quantiles

from tests.benchmarks.peers.floor import FloorSender
from tests.benchmarks.peers.scenario import Sender
from tests.benchmarks.peers.wire import Association, NotStored, requests
from tests.peers import peer

CALLING = "BENCH"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """All is answered; `seconds` from the first association's begin to the last answer."""

    seconds: float
    p50_ms: float | None = None
    p99_ms: float | None = None


def send(
    folders: Sequence[Path], port: int, *, sender: Sender, called: str, nagle: bool, floor: bool
) -> Sent:
    """Send every folder on an association of its own. Raises NotStored."""
    if sender is Sender.DCMTK:
        return _by_dcmtk(folders, port, called=called, nagle=nagle)
    return _bare(folders, port, called=called, nagle=nagle, floor=floor)


def _by_dcmtk(folders: Sequence[Path], port: int, *, called: str, nagle: bool) -> Sent:
    command: list[str | Path] = [
        peer("storescu"),
        "-R",
        "-aet",
        CALLING,
        "-aec",
        called,
        "--max-pdu",
        "131072",
    ]
    command += ["+sd", "127.0.0.1", str(port)]
    environment = {**os.environ} if nagle else {**os.environ, "TCP_NODELAY": "1"}
    began = time.monotonic()
    running = [
        subprocess.Popen(
            [*command, str(folder)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for folder in folders
    ]
    said = [process.communicate()[0] for process in running]
    seconds = time.monotonic() - began
    for process, text in zip(running, said, strict=True):
        if process.returncode:
            raise NotStored(text.decode(errors="replace")[-500:])
    return Sent(seconds=seconds)


def _bare(folders: Sequence[Path], port: int, *, called: str, nagle: bool, floor: bool) -> Sent:
    connect: Callable[[], Association | FloorSender] = partial(
        Association, port, called=called, calling=CALLING, nagle=nagle
    )
    if floor:
        connect = partial(FloorSender, port, nagle=nagle)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(folders))
    queue: multiprocessing.Queue[str] = context.Queue()
    processes = [
        context.Process(
            target=_one_association,
            args=(folder, connect, barrier, queue.put),
            daemon=True,
        )
        for folder in folders
    ]
    for process in processes:
        process.start()
    results = [json.loads(queue.get(timeout=1_800)) for _ in processes]
    for process in processes:
        process.join()
    if failed := [result["failed"] for result in results if "failed" in result]:
        # One that waited for the others says no more than that one of them failed.
        raise NotStored(min(failed, key=lambda text: text.startswith("BrokenBarrier")))
    latencies = [one for result in results for one in result["latencies_ms"]]
    hundredths = quantiles(latencies, n=100) if len(latencies) > 1 else latencies * 99
    return Sent(
        # CLOCK_MONOTONIC is one clock for all processes.
        seconds=max(result["ended"] for result in results)
        - min(result["began"] for result in results),
        p50_ms=hundredths[49],
        p99_ms=hundredths[98],
    )


def _one_association(
    folder: Path,
    connect: Callable[[], Association | FloorSender],
    barrier: Barrier,
    tell: Callable[[str], None],
) -> None:
    """One process: encode everything, wait for the others, send, time each answer."""
    try:
        association = connect()
        encoded = list(requests(folder, pdu_length_max=association.pdu_length_max))
        barrier.wait(600)
        latencies_ms = []
        began = time.monotonic()
        for request in encoded:
            before = time.perf_counter()
            association.store(request)
            latencies_ms.append((time.perf_counter() - before) * 1_000)
        ended = time.monotonic()
        association.release()
        tell(json.dumps({"began": began, "ended": ended, "latencies_ms": latencies_ms}))
    except Exception as error:  # noqa: BLE001 - whatever it was, the parent must not wait for ever
        barrier.abort()
        tell(json.dumps({"failed": repr(error)}))
