"""What holds for every test: Hypothesis profiles, a clean environment, tests that take minutes."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.durability.figures import summary

PROFILE = os.environ.get("TOLLGATE_TEST_PROFILE", "ci")
TEST_SWITCHES = {"TOLLGATE_REQUIRE_PEERS", "TOLLGATE_TEST_PROFILE"}

# The same examples at every run, so that a red build speaks of its change and not of luck; the
# full profile is the one that goes looking. No deadline and no complaint about slow generation:
# two busy cores are the normal case, and time is measured by the benchmarks.
settings.register_profile(
    "ci",
    max_examples=60,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "full",
    max_examples=2_000,
    stateful_step_count=100,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(PROFILE)

# Whatever is started in the background by a shell inherits that Ctrl-C is ignored, and so would
# the programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A developer's TOLLGATE_DATA_DIR points at real data, and would change what settings say.
for _name in [name for name in os.environ if name.startswith("TOLLGATE_")]:
    if _name not in TEST_SWITCHES:
        del os.environ[_name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is marked ``full``, unless the full profile was asked for."""
    if PROFILE == "full":
        return
    skip = pytest.mark.skip(reason="runs with `tests/run --full` only")
    for item in items:
        if "full" in item.keywords:
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the durability suite has counted."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    if line := summary(reports):
        terminalreporter.write_line(f"durability: {line}")
