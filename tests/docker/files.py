"""The deployment files, read once and in the shape in which the tests ask for them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).parents[2] / "docker"
PROMETHEUS = DOCKER / "prometheus"
RULES = PROMETHEUS / "tollgate.rules.yml"
RULE_TESTS = PROMETHEUS / "tollgate.rules.test.yml"


def load_yaml(path: Path) -> Any:
    """Return the document of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alerts() -> list[dict[str, Any]]:
    """Return the alert rules in the order of the file."""
    return [rule for group in load_yaml(RULES)["groups"] for rule in group["rules"]]


def services() -> dict[str, dict[str, Any]]:
    """Return the services of the compose file, merged keys resolved."""
    found: dict[str, dict[str, Any]] = load_yaml(DOCKER / "compose.yaml")["services"]
    return found


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana will read it."""
    path = DOCKER / "grafana" / "dashboards" / "tollgate.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def panels() -> list[dict[str, Any]]:
    """Return all panels that show something, those in collapsed rows too."""
    return [panel for panel in _flat(dashboard()["panels"]) if panel["type"] != "row"]


def all_panels() -> list[dict[str, Any]]:
    """Return all panels and rows."""
    return list(_flat(dashboard()["panels"]))


def dashboard_expressions() -> Iterator[tuple[str, str]]:
    """Yield (panel title, expression with Grafana's variables filled in)."""
    for panel in panels():
        for target in panel["targets"]:
            filled = target["expr"].replace("$__rate_interval", "1m").replace("$account", ".*")
            yield panel["title"], filled


def instructions(name: str) -> list[str]:
    """Return the arguments of every *name* instruction of the Dockerfile, lines joined."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        " ".join(line.split()[1:]) for line in joined.splitlines() if line.split()[:1] == [name]
    ]


def _flat(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in found:
        yield panel
        yield from _flat(panel.get("panels", []))
