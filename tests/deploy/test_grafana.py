"""The dashboard and the alert rules: read by Prometheus's and Grafana's own code, and compared with a real service."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from sanicbase.metrics import instruments
from sanicbase.testing import free_port, wait_until
from sanicbase.testing.databases import ask_postgres
from sanicbase.testing.private_server import private_server
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.conftest import Project
from tests.deploy.conftest import Result, program
from tests.preloaded import PreloadedService

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "deploy/grafana/xi_test.json"
RULES = ROOT / "deploy/prometheus/xi_test.rules.yml"
PAGE = ROOT / "docs/en/deployment.md"
OF_PROMETHEUS = {"up": {"job", "instance"}}
SUFFIX = re.compile(r"_(bucket|sum|count)$")
UNSEEN = {
    "sanicbase_db_replica_lag_seconds",  # needs a standby: tests/db/test_standby.py
    "sanicbase_worker_recycled_total",  # needs a worker that has reached a limit: tests/app/test_recycling.py
}
SOON = 40.0

Deploy = Callable[..., Result]
Query = tuple[str, set[str]]
"""A name of a metric, and the labels that an expression expects of it."""


def expressions() -> Iterator[tuple[str, set[str]]]:
    """Each expression of both files, with the labels that its legend or its texts name."""
    for target in (target for panel in panels() for target in panel.get("targets", ())):
        yield (
            target["expr"].replace("$__rate_interval", "5m"),
            set(re.findall(r"{{(\w+)}}", target["legendFormat"])),
        )
    for rule in rules():
        texts = " ".join(rule["annotations"].values())
        yield rule["expr"], set(re.findall(r"\$labels\.(\w+)", texts))


def panels() -> Iterator[dict[str, Any]]:
    """All rows and panels, also those of collapsed rows."""
    for panel in json.loads(BOARD.read_text())["panels"]:
        yield panel
        yield from panel.get("panels", ())


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def queried(text: str) -> list[Query]:
    """The metrics of an expression, each with the labels that are matched, or grouped by around it."""
    found: list[Query] = []
    around: list[set[str]] = []

    def enter(node: Any) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            around.append(set(node.modifier.labels) if node.modifier else set())
        if isinstance(node, promql_parser.VectorSelector):
            matched = {matcher.name for matcher in node.matchers.matchers}
            found.append((str(node.name), matched.union(*around)))

    def leave(node: Any) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            around.pop()

    promql_parser.walk(promql_parser.parse(text), enter, leave)
    assert found, text
    return found


def known_labels(metric: str, declared: dict[str, Any]) -> set[str]:
    """The labels that the samples of that name have, as Prometheus stores them."""
    if metric in OF_PROMETHEUS:
        return OF_PROMETHEUS[metric]
    histogram = declared.get(SUFFIX.sub("", metric)) if SUFFIX.search(metric) else None
    if histogram is not None:
        assert histogram.kind == "histogram", metric
        return {*histogram.labels, "job", "instance"} | ({"le"} if metric.endswith("_bucket") else set())
    assert declared[metric].kind != "histogram", metric
    return {*declared[metric].labels, "job", "instance"}


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    """Every metric of the library, by its name."""
    for file in (ROOT / "sanicbase").rglob("*.py"):
        if re.search(r"^from sanicbase\.metrics import ", file.read_text(), re.MULTILINE):
            import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    ours = {name: found for name, found in instruments._instruments.items() if name.startswith("sanicbase_")}
    return dict(ours)


def test_every_name_and_label_is_declared(declared: dict[str, Any]) -> None:
    for text, shown in expressions():
        metrics = queried(text)
        for metric, labels in metrics:
            assert labels <= known_labels(metric, declared), f"{metric} in {text}"
        everywhere = set().union(*(known_labels(metric, declared) for metric, _ in metrics))
        assert shown <= everywhere, text


def test_no_metric_has_a_label_that_prometheus_sets_itself(declared: dict[str, Any]) -> None:
    assert [name for name, metric in declared.items() if {"job", "instance"} & set(metric.labels)] == []


def test_the_control_an_unknown_name_or_label_is_found(declared: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        known_labels(queried("rate(sanicbase_http_request_total[5m])")[0][0], declared)
    ((metric, labels),) = queried("sum by (path) (rate(sanicbase_http_requests_total[5m]))")
    assert not labels <= known_labels(metric, declared)


MODELS = """
from tortoise import fields
from sanicbase import DBModel, RCModel

class Thing(DBModel):
    id = fields.IntField(primary_key=True)

    class Meta:
        table = "thing"

class ThingRC(RCModel):
    id: int

    class Meta:
        source = Thing
        ttl = 60
"""
SERVICE = """
from sanic import Blueprint, text
from sanicbase import Config, WSView, create_app, get_redis, serve

class Settings(Config):
    SERVER_NAME = "metered"
    MODEL_LIST = ["things"]

class Echo(WSView, public=True):
    async def on_message(self, message):
        from metered.model_db.things import ThingRC
        await ThingRC.get(1)
        await get_redis().get("metered:nothing")
        await self.send(message)

routes = Blueprint("routes")
Echo.attach(routes, "/echo")
app = create_app(Settings(), routes)

if __name__ == "__main__":
    serve(app)
"""
SCRIPTS = """
from sanicbase import Config, Timer, run_scripts
from sanicbase.jobs import job

class Settings(Config):
    SERVER_NAME = "metered"
    MODEL_LIST = []

@job(retries=0)
async def note() -> None:
    pass

async def works() -> None:
    await note.enqueue()

if __name__ == "__main__":
    run_scripts(Settings(), [Timer(works, every=1, name="works"), note])
"""


def scrape(port: int) -> dict[str, set[str]]:
    """The labels of each name among the samples."""
    url, labels = f"http://127.0.0.1:{port}/metrics", dict[str, set[str]]()
    try:
        text = httpx.get(url, trust_env=False, verify=NO_CERTIFICATES, timeout=SOON).raise_for_status().text
    except httpx.TransportError:
        return {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


@contextmanager
def metered(directory: Path, postgres_url: str, redis_url: str) -> Iterator[list[int]]:
    """A service with WebSockets and scripts, and a client that has sent messages; the ports of its metrics."""
    (directory / "metered" / "model_db").mkdir(parents=True)
    for name, text in (("metered/model_db/things", MODELS), ("serving", SERVICE), ("scripts", SCRIPTS)):
        (directory / f"{name}.py").write_text(text)
    ask_postgres(postgres_url, "CREATE TABLE thing (id int PRIMARY KEY)")
    ws, srv = free_port(), free_port()
    env = {
        "METERED_DB_URL": postgres_url, "METERED_REDIS_URL": redis_url, "METERED_SCRIPTS_METRICS_PORT": str(srv),
        "METERED_WS_METRICS_PORT": str(ws), "METERED_DB_REPLICAS": json.dumps({"default": [postgres_url]}),
    }  # fmt: skip
    with ExitStack() as stack:
        service = stack.enter_context(
            PreloadedService(directory / "serving.py", cwd=directory, prefix="METERED_", env=env, kind="ws")
        )
        stack.enter_context(PreloadedService(directory / "scripts.py", cwd=directory, prefix="METERED_", env=env))
        service.wait_ready()
        client = stack.enter_context(service.connect("/echo"))
        for _ in range(2):  # the second one finds what the first one has cached
            client.send("hello")
            assert client.recv() == "hello"
        yield [ws, srv]


def test_a_service_serves_what_is_queried(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    wanted = {metric for text, _ in expressions() for metric, _ in queried(text)} - UNSEEN - OF_PROMETHEUS.keys()
    seen: dict[str, set[str]] = {}
    with metered(tmp_path, postgres_url, redis_url) as ports:

        def is_complete() -> bool:
            for port in ports:
                seen.update(scrape(port))
            return wanted <= seen.keys()

        wait_until(is_complete, SOON, what="every metric that is queried")
    for text, _ in expressions():
        for metric, labels in queried(text):
            if metric in wanted:
                assert labels - {"job", "instance"} <= seen[metric], f"{metric} in {text}"


@pytest.mark.long
def test_prometheus_answers_every_panel_and_evaluates_every_rule(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    """With the configuration that the page shows."""
    binary = program("prometheus", "prometheus")
    (shown,) = re.findall(r"```yaml\n(rule_files:.*?)```", PAGE.read_text(), re.DOTALL)
    with metered(tmp_path, postgres_url, redis_url) as ports, private_server("prometheus") as server:
        targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        config = re.sub(r"\[{targets: .*\]}\]", f"[{{targets: [{targets}]}}]", shown)
        config = config.replace("/etc/prometheus/xi_test.rules.yml", str(RULES))
        server.write("prometheus.yml", f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n{config}".encode())
        url = f"http://127.0.0.1:{server.port}"
        api = httpx.Client(base_url=f"{url}/api/v1/", trust_env=False, verify=NO_CERTIFICATES)
        files = [f"--config.file={server.directory}/prometheus.yml", f"--storage.tsdb.path={server.directory}/data"]
        command = [binary, *files, f"--web.listen-address=127.0.0.1:{server.port}", "--log.level=warn"]
        server.start(command, lambda: httpx.get(f"{url}/-/ready", trust_env=False, verify=NO_CERTIFICATES).is_success)

        def empty() -> list[str]:
            """The expressions of panels that have no series."""
            texts = [text.replace("$instance", ".*") for text, _ in expressions() if "$instance" in text]
            answers = {text: api.get("query", params={"query": text}).raise_for_status().json() for text in texts}
            return [text for text, answer in answers.items() if not answer["data"]["result"]]

        def is_expected(text: str) -> bool:
            never_failed = 'status=~"5.."' in text and "or vector(0)" not in text
            return never_failed or any(metric in UNSEEN for metric, _ in queried(text))

        def unexpected() -> list[str]:
            return [text for text in empty() if not is_expected(text)]

        with suppress(TimeoutError):
            wait_until(lambda: not unexpected(), SOON)
        assert unexpected() == []
        (group,) = api.get("rules").raise_for_status().json()["data"]["groups"]
        assert {rule["health"] for rule in group["rules"]} == {"ok"}, group
        assert [rule["name"] for rule in group["rules"] if rule["state"] == "firing"] == []
        api.close()


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    """Read into the classes that are generated from Grafana's schema, and written again, it is the same."""
    plugins.register_default_plugins()
    board = json.loads(BOARD.read_text())
    written = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert lost(board, written) == []
    board["panels"][1]["fieldConfig"]["defaults"]["unitt"] = "s"  # the control
    board["panels"][1]["options"]["colourMode"] = "value"
    found = lost(board, json.loads(JSONEncoder().encode(Dashboard.from_json(board))))
    assert found == ["/panels/1/fieldConfig/defaults/unitt", "/panels/1/options/colourMode"]


def lost(before: Any, after: Any, place: str = "") -> list[str]:
    """The fields that are not there any more, or have another value."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [one for key, value in before.items() for one in lost(value, after.get(key), f"{place}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [one for at, (value, other) in pairs for one in lost(value, other, f"{place}/{at}")]
    return [] if before == after else [place]


def test_panels_do_not_overlap_and_have_names_of_their_own() -> None:
    found = list(panels())
    assert len({panel["id"] for panel in found}) == len(found)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in found)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    widths = {y: sum(row == y for _, row in cells) for _, y in cells}
    assert set(widths.values()) == {24}
    for panel in found:
        names = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(names)) == len(names), panel["title"]


def test_a_service_without_scripts_has_no_panels_and_rules_of_them(deploy: Deploy, project: Project) -> None:
    for name in ("srv_xi_test.py", "ws_xi_test.py"):
        (project.directory / name).unlink()
    result = deploy("grafana", "xi_test", "--job", "shop")
    assert result.returncode == 0, result.stderr
    assert "Note: http_xi_test.py serves no metrics: set XI_TEST_HTTP_METRICS_PORT." in result.stdout
    board = (project.directory / "deploy/grafana/xi_test.json").read_text()
    text = (project.directory / "deploy/prometheus/xi_test.rules.yml").read_text()
    for absent in ("sanicbase_timer_", "sanicbase_job_", "sanicbase_websocket_", 'job="xi_test"'):
        assert absent not in board + text
    assert 'up{job="shop"} == 0' in text


MINUTES = 30
FIRING = 'count(ALERTS{alertname="%s", alertstate="firing"}) or vector(0)'
INSTANCE = '{job="xi_test", instance="a:9100"'
# What Prometheus has scraped when one rule fires, and no other one.
CASES: dict[str, list[tuple[str, str]]] = {
    "ServiceDown": [("up{}", "1x10 0x30")],
    "ServiceUnknown": [],
    "NoWorkerServes": [('sanicbase_worker_serving{worker="0"}', "0x40"), ("up{}", "1x40")],
    "ErrorShare": [
        ('sanicbase_http_requests_total{status="200"}', "0+60x40"),
        ('sanicbase_http_requests_total{status="500"}', "0+6x40"),
        ("up{}", "1x40"),
    ],
    "SlowRequests": [
        ('sanicbase_http_request_seconds_bucket{le="1.0"}', "0+600x40"),
        ('sanicbase_http_request_seconds_bucket{le="2.5"}', "0+620x40"),
        ('sanicbase_http_request_seconds_bucket{le="+Inf"}', "0+620x40"),
        ("sanicbase_http_request_seconds_count{}", "0+620x40"),
        ("up{}", "1x40"),
    ],
    "RequestsWait": [
        ('sanicbase_http_queue_seconds_bucket{le="0.5"}', "0+10x40"),
        ('sanicbase_http_queue_seconds_bucket{le="1.0"}', "0+20x40"),
        ('sanicbase_http_queue_seconds_bucket{le="+Inf"}', "0+20x40"),
        ("up{}", "1x40"),
    ],
    "WorkerRestarts": [('sanicbase_worker_restarts_total{worker="0"}', "0x20 0+1x20"), ("up{}", "1x40")],
    "ReloadFailed": [('sanicbase_reloads_total{result="failed"}', "0x25 1x15"), ("up{}", "1x40")],
    "EventLoopLag": [
        ('sanicbase_event_loop_lag_seconds_bucket{le="0.25"}', "0+10x40"),
        ('sanicbase_event_loop_lag_seconds_bucket{le="0.5"}', "0+20x40"),
        ('sanicbase_event_loop_lag_seconds_bucket{le="+Inf"}', "0+20x40"),
        ("up{}", "1x40"),
    ],
    "DatabasePoolExhausted": [('sanicbase_db_pool_waiting{database="default"}', "0x10 3x30"), ("up{}", "1x40")],
    "ReplicaUnused": [('sanicbase_db_replica_readers{replica="default replica 1"}', "4x10 0x30"), ("up{}", "1x40")],
    "CacheMismatch": [
        ('sanicbase_cache_reads_total{model="ArticleRC", outcome="mismatched"}', "0x25 1x15"), ("up{}", "1x40"),
    ],
    "TimerMissed": [('sanicbase_timer_missed_total{timer="purge"}', "0x25 1x15"), ("up{}", "1x40")],
    "TimerLate": [
        ('sanicbase_timer_last_success_timestamp_seconds{timer="purge"}', "60x40"),
        ('sanicbase_timer_period_seconds{timer="purge"}', "300x40"),
        ("up{}", "1x40"),
    ],
    "DeadLetters": [('sanicbase_job_dead_letters_total{job_name="note"}', "0x25 1x15"), ("up{}", "1x40")],
    "MemoryNearLimit": [
        ("sanicbase_memory_used_bytes{}", "91x40"), ("sanicbase_memory_limit_bytes{}", "100x40"), ("up{}", "1x40"),
    ],
    "DescriptorsNearLimit": [
        ('sanicbase_worker_open_descriptors{worker="0"}', "900x40"),
        ('sanicbase_worker_max_descriptors{worker="0"}', "1000x40"),
        ("up{}", "1x40"),
    ],
}  # fmt: skip
WELL = [
    ("up{}", "1x40"),
    ('sanicbase_worker_serving{worker="0"}', "1x40"),
    ('sanicbase_http_requests_total{status="200"}', "0+600x40"),
    ('sanicbase_http_requests_total{status="500"}', "0+1x40"),
    ('sanicbase_http_request_seconds_bucket{le="1.0"}', "0+600x40"),
    ('sanicbase_http_request_seconds_bucket{le="+Inf"}', "0+600x40"),
    ("sanicbase_http_request_seconds_count{}", "0+600x40"),
    ('sanicbase_worker_restarts_total{worker="0"}', "0x20 1x20"),
    ('sanicbase_db_pool_waiting{database="default"}', "0x10 3x1 0x30"),
    ('sanicbase_db_replica_readers{replica="default replica 1"}', "4x40"),
    ('sanicbase_cache_reads_total{model="ArticleRC", outcome="mismatched"}', "0x40"),
    ('sanicbase_timer_missed_total{timer="purge"}', "0x40"),
    ('sanicbase_timer_last_success_timestamp_seconds{timer="purge"}', "0+60x40"),
    ('sanicbase_timer_period_seconds{timer="purge"}', "60x40"),
    ('sanicbase_job_dead_letters_total{job_name="note"}', "3x40"),
    ("sanicbase_memory_used_bytes{}", "50x40"),
    ("sanicbase_memory_limit_bytes{}", "100x40"),
]


def series(name: str, values: str) -> dict[str, str]:
    metric, _, labels = name.partition("{")
    return {"series": f"{metric}{INSTANCE}, {labels}".replace(", }", "}"), "values": values}


def test_each_rule_fires_in_its_case_and_none_while_all_is_well(tmp_path: Path) -> None:
    promtool = program("promtool", "prometheus")
    (tmp_path / "rules.yml").write_text(RULES.read_text())
    names = [rule["alert"] for rule in rules()]
    assert sorted(names) == sorted(CASES)
    cases = []
    for case, given in {**CASES, "": WELL}.items():
        asked = [
            {"eval_time": f"{MINUTES}m", "expr": FIRING % name,
             "exp_samples": [{"labels": "{}", "value": int(name == case)}]}
            for name in names
        ]  # fmt: skip
        cases.append({"name": case or "all is well", "interval": "1m", "input_series": [series(*one) for one in given],
                      "promql_expr_test": asked})  # fmt: skip
    written = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(written))
    for words in (["check", "rules", "rules.yml"], ["test", "rules", "test.yml"]):
        done = subprocess.run([promtool, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
