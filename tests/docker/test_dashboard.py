"""The dashboard loads, explains itself, and asks only for what is exported."""

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.files import (
    DOCKER,
    alerts,
    all_panels,
    dashboard,
    dashboard_expressions,
    load_yaml,
    panels,
)
from tests.docker.known_metrics import KNOWN_METRICS, LABEL_VALUES, MADE_BY_PROMETHEUS
from tests.docker.promql import label_values_in, series_in
from tests.peers import peer

GRID_COLUMNS = 24


def test_no_two_panels_share_an_id() -> None:
    """Grafana addresses panels by id; two of one id show each other's data."""
    ids = [panel["id"] for panel in all_panels()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_has_a_title_a_description_and_a_unit(panel: dict[str, Any]) -> None:
    """A figure without words and unit is a riddle at three in the morning."""
    assert panel["title"].strip()
    assert len(panel["description"]) > len(panel["title"])
    assert panel["fieldConfig"]["defaults"]["unit"]


def test_panels_do_not_overlap_and_stay_within_the_grid() -> None:
    """Overlapping panels are pushed about by Grafana, and the picture is not the one intended."""
    taken: set[tuple[int, int]] = set()
    for panel in all_panels():
        cells = set(_cells(panel["gridPos"]))
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < GRID_COLUMNS, panel["title"]
        taken |= cells


def test_the_dashboard_asks_only_for_series_that_are_exported() -> None:
    """A misspelt name is an empty panel that looks like a quiet day."""
    known = KNOWN_METRICS | MADE_BY_PROMETHEUS
    asked = {(title, name) for title, text in dashboard_expressions() for name in series_in(text)}
    assert {(title, name) for title, name in asked if name not in known} == set()


def test_the_dashboard_uses_only_label_values_that_exist() -> None:
    """As above, for the values of the labels whose values are a fixed list."""
    unknown = [
        (title, label, value)
        for title, text in dashboard_expressions()
        for label, value in label_values_in(text)
        if label in LABEL_VALUES and value not in LABEL_VALUES[label]
    ]
    assert unknown == []


def test_everything_that_the_gateway_exports_of_itself_is_looked_at() -> None:
    """A metric that neither a panel nor an alert reads is missing here or not worth exporting."""
    read = [text for _, text in dashboard_expressions()] + [rule["expr"] for rule in alerts()]
    seen = set().union(*map(series_in, read))
    # Sum and count come with every histogram; its buckets are what is looked at.
    own = {name for name in KNOWN_METRICS if name.startswith("tollgate_")}
    unread = {name for name in own - seen if not name.endswith(("_seconds_sum", "_seconds_count"))}
    assert unread == set()


@pytest.mark.peer
def test_every_expression_of_the_dashboard_is_valid_promql(tmp_path: Path) -> None:
    """Each expression is given to promtool as a recording rule."""
    rules = [
        {"record": f"panel:{number}", "expr": text}
        for number, (_, text) in enumerate(dashboard_expressions())
    ]
    document = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    checked = subprocess.run(
        (peer("promtool"), "check", "rules", "rules.yml"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_quota_panels_follow_the_choice_of_account() -> None:
    """Every expression on quota is narrowed by the variable ``account``."""
    variables = {variable["name"] for variable in dashboard()["templating"]["list"]}
    assert variables == {"datasource", "account"}
    unnarrowed = [
        panel["title"]
        for panel in panels()
        for target in panel["targets"]
        if target["expr"].count("tollgate_quota_") != target["expr"].count('account=~"$account"')
    ]
    assert unnarrowed == []


def test_every_query_goes_to_the_chosen_data_source() -> None:
    """No data source is built in, so that the dashboard also works in a site's own Grafana."""
    sources = [panel["datasource"]["uid"] for panel in panels()]
    sources += [target["datasource"]["uid"] for panel in panels() for target in panel["targets"]]
    assert set(sources) == {"${datasource}"}


def test_grafana_is_given_its_data_source_and_its_dashboard() -> None:
    """Provisioning names Prometheus as the compose file does, and the folder that is mounted."""
    provisioning = DOCKER / "grafana" / "provisioning"
    (source,) = load_yaml(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = load_yaml(provisioning / "dashboards" / "tollgate.yaml")["providers"]
    mounts = load_yaml(DOCKER / "compose.yaml")["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts


def _cells(position: dict[str, int]) -> Iterator[tuple[int, int]]:
    return itertools.product(
        range(position["x"], position["x"] + position["w"]),
        range(position["y"], position["y"] + position["h"]),
    )
