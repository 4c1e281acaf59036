"""SIGKILL at any moment under load: four devices send, and lose nothing that was answered.

A worker dies alone and is started again; the supervisor dies and takes everything along; or all
processes die at once. The moments are counted in answers, not in time: a seeded number of them.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.benchmarks.peers.processes import descendants
from tests.durability.aftermath import Site, charges, look, on_record
from tests.durability.figures import record
from tests.durability.gateway_cuts import kill_all
from tests.durability.scu import STORED, Image, association, store
from tests.durability.senders import Promises, Senders, studies
from tests.durability.site import ready
from tests.harness import RunningGateway, wait_until

ROUNDS = 100 if os.environ.get("TOLLGATE_TEST_PROFILE") == "full" else 6
SENDERS = 4
VICTIMS = ("worker", "supervisor", "all")
_ANSWERS_MAX = 60
_SEED = 20_260_102


def kill(gateway: RunningGateway, victim: str, chance: random.Random) -> None:
    """End one worker, the supervisor with what hangs on it, or everything at once."""
    assert gateway.process is not None
    if victim == "all":
        kill_all(gateway)
    elif victim == "supervisor":
        children = descendants(gateway.process.pid)
        gateway.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in children))
    else:
        os.kill(chance.choice(workers_of(gateway)), signal.SIGKILL)
        wait_until(lambda: "process_restarted" in [line["event"] for line in gateway.log])


def workers_of(gateway: RunningGateway) -> list[int]:
    """The processes of a gateway but for the supervisor and the control process, its first."""
    assert gateway.process is not None
    return sorted(descendants(gateway.process.pid)[1:])[1:]


def recovered(gateway: RunningGateway, site: Site, promised: Promises) -> None:
    """Everything promised is on record soon, and nothing is wrong with anything else."""
    owed = set(promised.digest)
    wait_until(lambda: owed <= on_record(site))
    gateway.drained()
    assert look(site, promised).clean


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_random_kills_under_load_lose_nothing_and_charge_nothing_twice(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every round: load, kill, recover, compare; what had no answer is sent again."""
    data_dir = ready(tmp_path / "data")
    site = Site(data=data_dir, ledger=data_dir, spool=data_dir / "spool")
    chance = random.Random(_SEED)
    promised = Promises()
    again: list[Image] = []
    for number in range(ROUNDS):
        with RunningGateway(data_dir) as gateway:
            recovered(gateway, site, promised)
            with association(gateway.dicom_port) as opened:
                for each in again:
                    assert store(opened, each) == STORED
            promised.add(again)
            work = [studies(number + 1, sender) for sender in range(SENDERS)]
            senders = Senders(gateway.dicom_port, work)
            senders.start()
            senders.await_answers(chance.randrange(1, _ANSWERS_MAX))
            victim = VICTIMS[number % len(VICTIMS)]
            kill(gateway, victim, chance)
            senders.join()
            # The kernel lives on: what was answered while the process died is a promise as well.
            promised.add([*senders.acknowledged, *senders.late])
            again = senders.unanswered
            if victim == "worker":
                recovered(gateway, site, promised)
    with RunningGateway(data_dir) as gateway:
        recovered(gateway, site, promised)
        count, used = charges(site)
        assert count == used
    record(request, kills=ROUNDS, acknowledged=len(promised.digest), lost=0, doubled=0)
