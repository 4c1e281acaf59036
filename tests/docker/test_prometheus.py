"""Prometheus accepts its files; every alert says what to do, and is proved to fire and not to."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docker.files import DOCKER, PROMETHEUS, RULE_TESTS, alerts, load_yaml
from tests.docker.known_metrics import KNOWN_METRICS, LABEL_VALUES, MADE_BY_PROMETHEUS
from tests.docker.promql import label_values_in, series_in
from tests.peers import peer

ALERTS_PROMISED = {
    "TollgateArrearsBegun": "warning",
    "TollgateSuspensionNear": "critical",
    "TollgateSuspended": "critical",
    "TollgateQuotaLow": "info",
    "TollgateRefusals": "warning",
    "TollgateStoresFailing": "critical",
    "TollgateGatewayDown": "critical",
    "TollgateDatabaseDown": "critical",
    "TollgateVerifyFailed": "critical",
    "TollgateVerifyLate": "warning",
    "TollgateClockHeld": "critical",
    "TollgateSpoolUnseen": "critical",
    "TollgateSpoolNearlyFull": "critical",
    "TollgateFilingLate": "warning",
    "TollgateObjectDamaged": "critical",
    "TollgateScrubLate": "warning",
    "TollgateDiskSpaceLow": "warning",
    "TollgateDiskSpaceCritical": "critical",
}


def promtool(*arguments: str, folder: Path = PROMETHEUS) -> str:
    """Run promtool there and return what it said; fail the test where it is not content."""
    done = subprocess.run(
        (peer("promtool"), *arguments), cwd=folder, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.mark.peer
def test_prometheus_accepts_its_configuration_and_the_rules_it_names() -> None:
    """``promtool check config`` follows the rule files too."""
    assert "1 rule files found" in promtool("check", "config", "prometheus.yml")


@pytest.mark.peer
def test_the_rules_pass_every_check_of_promtool() -> None:
    """Syntax and lint (duplicate rules), where a finding is a failure."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", "tollgate.rules.yml")


@pytest.mark.peer
@pytest.mark.slow
def test_every_alert_behaves_as_its_unit_tests_say() -> None:
    """``promtool test rules`` plays the series and compares labels and texts."""
    promtool("test", "rules", RULE_TESTS.name)


def test_the_promised_alerts_exist_with_their_severity() -> None:
    """No alert is lost or changes its severity unnoticed: who is woken depends on it."""
    assert {rule["alert"]: rule["labels"]["severity"] for rule in alerts()} == ALERTS_PROMISED


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_happened_and_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    """Summary and description are there, filled, and name the account where there is one."""
    texts = rule["annotations"]
    assert texts["summary"].strip()
    assert len(texts["description"]) > len(texts["summary"])
    if "account" in str(rule["expr"]):
        assert "$labels.account" in texts["summary"]
        assert "$labels.account" in texts["description"]


@pytest.mark.parametrize("alert", sorted(ALERTS_PROMISED))
def test_an_alert_is_proved_to_fire_and_not_to_fire(alert: str) -> None:
    """Each alert has a unit test with a firing alert and one that expects silence."""
    expected: Sequence[bool] = [
        bool(case["exp_alerts"])
        for test in load_yaml(RULE_TESTS)["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert True in expected, "no unit test sees it fire"
    assert False in expected, "no unit test sees it silent"


def test_the_readme_tells_what_to_do_for_every_alert() -> None:
    """Whoever is woken finds the alert's name in the table of docker/README.md."""
    readme = (DOCKER / "README.md").read_text(encoding="utf-8")
    assert [name for name in ALERTS_PROMISED if f"| `{name}`" not in readme] == []


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_reads_only_what_is_exported(rule: dict[str, str]) -> None:
    """An alert on a misspelt series or label value would be silent for ever."""
    assert series_in(rule["expr"]) <= KNOWN_METRICS | MADE_BY_PROMETHEUS
    unknown = [
        (label, value)
        for label, value in label_values_in(rule["expr"])
        if label in LABEL_VALUES and value not in LABEL_VALUES[label]
    ]
    assert unknown == []


def test_the_job_that_the_rules_name_is_the_one_that_is_scraped() -> None:
    """``up{job="tollgate"}`` means the gateway, at the address of the compose file."""
    jobs = load_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    assert targets == {"tollgate": ["gateway:8080"]}


@pytest.mark.parametrize(
    "expression, names",
    [
        ('sum by (job, reason) (increase(a_total{x="b_total"}[10m])) > 0', {"a_total"}),
        ("max by (account) (a) - time() <= 4 * 3600 and on (account) b == 1", {"a", "b"}),
        ('up{job="t"} == 0 or absent(up{job="t"})', {"up"}),
    ],
)
def test_the_names_of_series_are_found_in_an_expression(expression: str, names: set[str]) -> None:
    """The tests above stand on this small reader of PromQL."""
    assert series_in(expression) == names
