"""Run by hand, on a quiet machine, at least 20 GB free: `python -m tests.benchmarks.peers`.

Each round starts a receiver on empty storage, sends the scenario's files and checks that all
arrived; rounds of the receivers alternate, and medians are shown. `answered` ends with the last
answer, `filed` when everything can be looked up. Nothing fails on a time.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

from tests.benchmarks.peers.data import make
from tests.benchmarks.peers.measure import NotAllArrived, measure
from tests.benchmarks.peers.receivers import RECEIVERS
from tests.benchmarks.peers.report import show, write
from tests.benchmarks.peers.scenario import Outcome, Scenario, Sender, scenarios
from tests.benchmarks.peers.wire import NotStored


def main() -> None:
    """Measure what was asked for."""
    arguments = _arguments()
    console = Console(width=max(120, Console().width))
    chosen = [
        one
        for one in scenarios(scale=arguments.scale)
        if arguments.only.lower() in one.title.lower()
    ]
    found: dict[Scenario, dict[str, list[Outcome]]] = {}
    for scenario in chosen:
        with tempfile.TemporaryDirectory(prefix="peers-", dir=arguments.dir) as directory:
            found[scenario] = _rounds(scenario, arguments, Path(directory), console)
        show(console, scenario, found[scenario])
        if arguments.json:
            write(arguments.json, found, arguments.rounds)


def _rounds(
    scenario: Scenario, arguments: argparse.Namespace, below: Path, console: Console
) -> dict[str, list[Outcome]]:
    folders = make(scenario, below)
    # Only our own sender knows how to speak to the floor.
    names = [n for n in arguments.peers if n != "floor" or scenario.sender is Sender.BARE]
    found: dict[str, list[Outcome]] = {}
    steps = [(name, n) for n in range(arguments.rounds) for name in names]
    for name, _ in track(steps, description=scenario.title, console=console, transient=True):
        receiver = RECEIVERS[name]
        try:
            outcome = measure(scenario, receiver, folders, below=below)
        except (NotStored, NotAllArrived) as error:
            console.print(f"[red]{receiver.name} failed[/]: {error}")
        else:
            found.setdefault(receiver.name, []).append(outcome)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=RECEIVERS, default=list(RECEIVERS))
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each, for the median")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the instances")
    parser.add_argument("--only", default="", metavar="TEXT", help="titles that contain this")
    parser.add_argument(
        "--dir", type=Path, help="where to work; on the disk that is to be measured"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
