"""A dashboard for Grafana and alert rules for Prometheus, of the metrics that a service serves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path
from typing import Any

from sanicbase.deploy.deployment import DeployError, Deployment
from sanicbase.deploy.panels import ROWS, Panel, Row
from sanicbase.deploy.rendering import Rendering, render
from sanicbase.i18n import gettext as _

__all__ = ["dashboard_and_rules"]

JOB = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
PORTS = {"http": "HTTP_METRICS_PORT", "ws": "WS_METRICS_PORT", "srv": "SCRIPTS_METRICS_PORT"}
SCHEMA_VERSION = 39  # of Grafana 10.3 and later
COLUMNS, HEIGHT, STAT_HEIGHT = 24, 8, 5  # a lower stat has no graph
PER_LINE, STATS_PER_LINE = 3, 6
COLORS = {
    "red": r"^5\d\d$|^mismatched$| failed$| missed$| dead( letters)?$| waiting callers$",
    "orange": r"^4\d\d$| cancelled$",
    "green": r"^2\d\d$| succeeded$",
}
"""The colours of series whose names tell how something ended; the others get theirs from a palette."""
COLORED = re.compile(r"{{(status|outcome|result|state)}}")
LINK = {
    "type": "dashboards", "title": "Services", "tags": ["sanicbase"], "asDropdown": True, "includeVars": False,
    "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": "",
}  # fmt: skip
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard_and_rules(deployment: Deployment, to: Path, *, job: str) -> Rendering:
    """The dashboard and the rules for the job of that name in Prometheus's configuration, `job_name`.

    Raises DeployError for an invalid name.
    """
    if not JOB.fullmatch(job):
        raise DeployError(_("{job!r} is not a name of a job. Write one such as {service}.", job=job, service="shop"))
    board, rules = f"grafana/{deployment.service}.json", f"prometheus/{deployment.service}.rules.yml"
    text = render("prometheus/rules.j2", deployment=deployment, job=job, kinds=_kinds(deployment))
    commands = [
        f"cp {to / board} /var/lib/grafana/dashboards/",
        f"promtool check rules {to / rules}",
        f"cp {to / rules} /etc/prometheus/",
        "service prometheus reload",
    ]
    return Rendering({board: _dashboard(deployment, job), rules: text}, commands, list(_missing_ports(deployment)))


def _kinds(deployment: Deployment) -> set[str]:
    return {launch.kind for launch in deployment.launches}


def _missing_ports(deployment: Deployment) -> Iterator[str]:
    for launch in deployment.launches:
        if not getattr(deployment.config, PORTS[launch.kind]):
            setting = deployment.prefix + PORTS[launch.kind]
            yield _("{file} serves no metrics: set {setting}.", file=launch.file, setting=setting)


def _dashboard(deployment: Deployment, job: str) -> str:
    kinds = _kinds(deployment)
    rows = [(row, [one for one in row.panels if kinds & set(one.kinds)]) for row in ROWS if kinds & set(row.kinds)]
    board = {
        "uid": re.sub(r"[^a-zA-Z0-9_-]", "-", f"sanicbase-{deployment.service}")[:40],
        "title": deployment.service,
        "description": f"Rendered by `sanicGuider deploy grafana {deployment.service}`.",
        "tags": ["sanicbase"],
        "editable": True,
        "graphTooltip": 1,  # one crosshair in all panels
        "links": [LINK],
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables(job)},
        "panels": list(_panels(rows, f'job="{job}", instance=~"$instance"')),
    }
    return json.dumps(board, indent=2) + "\n"


def _variables(job: str) -> list[dict[str, Any]]:
    return [
        {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"},
        {
            "type": "query", "name": "instance", "label": "Instance", "datasource": DATASOURCE,
            "query": f'label_values(up{{job="{job}"}}, instance)', "refresh": 2, "sort": 1,
            "multi": True, "includeAll": True, "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]  # fmt: skip


def _panels(rows: list[tuple[Row, list[Panel]]], selector: str) -> Iterator[dict[str, Any]]:
    """All rows and panels, each with its place in a grid of 24 columns. A collapsed row contains its panels."""
    ids, top = count(1), 0
    for row, shown in rows:
        title = {"type": "row", "id": next(ids), "title": row.title, "collapsed": row.collapsed}
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        panels = []
        top += 1
        for line in _lines(shown):
            width, height = COLUMNS // len(line), STAT_HEIGHT if line[0].stat else HEIGHT
            for at, panel in enumerate(line):
                grid = {"h": height, "w": width, "x": at * width, "y": top}
                panels.append(_panel(panel, next(ids), grid, selector))
            top += height
        yield {**title, "gridPos": place, "panels": panels if row.collapsed else []}
        if not row.collapsed:
            yield from panels


def _lines(panels: list[Panel]) -> Iterator[list[Panel]]:
    """The panels side by side, which share the width."""
    for stat, alike in groupby(panels, lambda panel: panel.stat):
        left = list(alike)
        while left:
            length = STATS_PER_LINE if stat else PER_LINE
            yield left[:length]
            left = left[length:]


def _panel(panel: Panel, number: int, place: dict[str, int], selector: str) -> dict[str, Any]:
    return {
        "type": "stat" if panel.stat else "timeseries",
        "id": number,
        "title": panel.title,
        "description": panel.description,
        "gridPos": place,
        "datasource": DATASOURCE,
        "targets": [_target(*query, chr(ord("A") + at), selector) for at, query in enumerate(panel.queries)],
        "fieldConfig": _field_config(panel),
        "options": _stat_options() if panel.stat else _graph_options(),
    }


def _target(query: str, legend: str, name: str, selector: str) -> dict[str, Any]:
    expression = query.replace("@", selector)
    return {"datasource": DATASOURCE, "refId": name, "expr": expression, "legendFormat": legend or "__auto"}


def _field_config(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, object]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    defaults: dict[str, object] = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.whole:
        defaults["decimals"] = 0
    if panel.stat:
        return {"defaults": defaults, "overrides": []}
    defaults["custom"] = {"drawStyle": "line", "fillOpacity": 10, "showPoints": "never"}
    colored = any(COLORED.search(legend) for _query, legend in panel.queries)
    return {"defaults": defaults, "overrides": [_colored(*one) for one in COLORS.items()] if colored else []}


def _colored(color: str, names: str) -> dict[str, Any]:
    drawn = {"id": "color", "value": {"mode": "shades", "fixedColor": color}}
    return {"matcher": {"id": "byRegexp", "options": f"/{names}/"}, "properties": [drawn]}


def _stat_options() -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {"reduceOptions": last, "colorMode": "value", "graphMode": "area"}


def _graph_options() -> dict[str, Any]:
    legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "max"]}
    worst_first = {"sortBy": "Max", "sortDesc": True}  # a table shows three lines before one scrolls
    return {"legend": legend | worst_first, "tooltip": {"mode": "multi", "sort": "desc"}}
