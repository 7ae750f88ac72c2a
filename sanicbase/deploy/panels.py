"""The panels of the dashboard, by row. `@` in a query stands for the labels that select the service."""

from __future__ import annotations

from dataclasses import dataclass

from sanicbase.deploy.deployment import Kind

__all__ = ["ROWS", "Panel", "Row"]

RATE = "[$__rate_interval]"
SERVED: tuple[Kind, ...] = ("http", "ws")
ALL: tuple[Kind, ...] = ("http", "ws", "srv")


@dataclass(frozen=True)
class Panel:
    """A graph, or a single number if it is a `stat`. Each query has a legend, such as `{{route}}`."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    description: str = ""
    stat: bool = False
    red_from: float | None = None
    """The value from which a stat is red."""
    whole: bool = False
    """Whether a stat counts things, so it has no decimals."""
    kinds: tuple[Kind, ...] = ALL
    """The launch files that serve these metrics."""


@dataclass(frozen=True)
class Row:
    """A row of panels, for services that have one of these launch files."""

    title: str
    kinds: tuple[Kind, ...]
    panels: tuple[Panel, ...]
    collapsed: bool = False
    """Whether it is opened only on demand, because most services have no such data."""


def quantiles(metric: str, *shares: float, by: str = "", only: str = "@") -> tuple[tuple[str, str], ...]:
    """A query for each of the quantiles of a histogram; with `by`, for each value of that label."""
    labels, name = (f"le, {by}", "{{" + by + "}} ") if by else ("le", "")
    return tuple(
        (
            f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{only}}}{RATE})))",
            f"{name}p{100 * share:g}",
        )
        for share in shares
    )


def by_label(metric: str, label: str, *, only: str = "@") -> tuple[tuple[str, str], ...]:
    """The rate of a counter for each value of a label."""
    return ((f"sum by ({label}) (rate({metric}{{{only}}}{RATE}))", "{{" + label + "}}"),)


REQUESTS = "sanicbase_http_requests_total"
# Without "or", a service that has never failed would show no data.
ERROR_SHARE = f'(sum(rate({REQUESTS}{{@, status=~"5.."}}{RATE})) or vector(0)) / sum(rate({REQUESTS}{{@}}{RATE}))'
READS = "sanicbase_cache_reads_total"
HITS = f'sum by (model) (rate({READS}{{@, outcome=~"hits|local_hits"}}{RATE}))'
ALL_READS = f'sum by (model) (rate({READS}{{@, outcome=~"hits|local_hits|misses|bypasses"}}{RATE}))'
SUCCESS = "max by (timer) (sanicbase_timer_last_success_timestamp_seconds{@})"

ROWS = (
    Row("Overview", ALL, (
        Panel("Targets down", "short", (("sum(1 - up{@})", ""),), "Ports of metrics that Prometheus cannot read.",
              stat=True, red_from=1, whole=True),
        Panel("Requests per second", "reqps", ((f"sum(rate({REQUESTS}{{@}}{RATE}))", ""),), stat=True, kinds=SERVED),
        Panel("Share of errors", "percentunit", ((ERROR_SHARE, ""),), "Responses with 5xx.",
              stat=True, red_from=0.05, kinds=SERVED),
        Panel("p99", "s", quantiles("sanicbase_http_request_seconds", 0.99),
              "The time within which 99% of the requests got the beginning of a response.",
              stat=True, red_from=1, kinds=SERVED),
        Panel("Memory in use", "percentunit", (
            ("max(sanicbase_memory_used_bytes{@} / sanicbase_memory_limit_bytes{@})", ""),
        ), "Of the container or the machine that is the fullest.", stat=True, red_from=0.9),
        Panel("Restarts in an hour", "short", (("sum(increase(sanicbase_worker_restarts_total{@}[1h]))", ""),),
              "Workers that ended by themselves.", stat=True, red_from=1, whole=True),
    )),
    Row("Requests", SERVED, (
        Panel("Requests by status", "reqps", by_label(REQUESTS, "status")),
        Panel("Requests by route", "reqps", (
            (f"topk(10, sum by (method, route) (rate({REQUESTS}{{@}}{RATE})))", "{{method}} {{route}}"),
        ), "The ten with the most requests."),
        Panel("Errors by route", "reqps", (
            (f'topk(10, sum by (route, status) (rate({REQUESTS}{{@, status=~"5.."}}{RATE})))', "{{route}} {{status}}"),
        ), "Responses with 5xx."),
        Panel("Latency", "s", quantiles("sanicbase_http_request_seconds", 0.5, 0.9, 0.99),
              "From reading a request until its response began."),
        Panel("p99 by route", "s", (
            (f"topk(10, {quantiles('sanicbase_http_request_seconds', 0.99, by='route')[0][0]})", "{{route}}"),
        ), "The ten slowest routes."),
        Panel("Queue time", "s", quantiles("sanicbase_http_queue_seconds", 0.5, 0.99),
              "How long requests waited until they were handled."),
        Panel("In flight", "short", (("sum by (instance) (sanicbase_http_requests_in_flight{@})", "{{instance}}"),)),
        Panel("Bytes of bodies", "Bps", (
            (f"sum(rate(sanicbase_http_request_bytes_sum{{@}}{RATE}))", "received"),
            (f"sum(rate(sanicbase_http_response_bytes_sum{{@}}{RATE}))", "sent"),
        )),
    )),
    Row("Processes", ALL, (
        Panel("Lag of event loops", "s", quantiles("sanicbase_event_loop_lag_seconds", 0.5, 0.99),
              "How late timers are called: a blocking call, or too little CPU."),
        Panel("Serving workers", "short", (("sum by (instance) (sanicbase_worker_serving{@})", "{{instance}}"),)),
        Panel("Restarts, reloads, replacements", "short", (
            (f"sum(increase(sanicbase_worker_restarts_total{{@}}{RATE}))", "restarts"),
            (f"sum by (result) (increase(sanicbase_reloads_total{{@}}{RATE}))", "reloads {{result}}"),
            (f"sum by (limit) (increase(sanicbase_worker_recycled_total{{@}}{RATE}))", "replaced: {{limit}}"),
        )),
        Panel("Memory by worker", "bytes", (("sanicbase_worker_memory_bytes{@}", "{{instance}} {{worker}}"),),
              "Resident, with shared pages."),
        Panel("Memory of the machine or container", "percentunit", (
            ("sanicbase_memory_used_bytes{@} / sanicbase_memory_limit_bytes{@}", "{{instance}}"),
        ), "In use."),
        Panel("Open descriptors", "percentunit", (
            ("sanicbase_worker_open_descriptors{@} / sanicbase_worker_max_descriptors{@}", "{{instance}} {{worker}}"),
        ), "Of the limit of each process."),
    )),
    Row("Databases", ALL, (
        Panel("Statements per second", "ops", (
            (f"sum by (database, kind) (rate(sanicbase_db_statement_seconds_count{{@}}{RATE}))",
             "{{database}} {{kind}}"),
        )),
        Panel("p99 of statements", "s", quantiles("sanicbase_db_statement_seconds", 0.99, by="kind"),
              "With the wait for a connection."),
        Panel("Connections", "short", (
            ("sum by (database, state) (sanicbase_db_pool_connections{@})", "{{database}} {{state}}"),
            ("sum by (database) (sanicbase_db_pool_waiting{@})", "{{database}} waiting callers"),
        ), "And callers that wait for one."),
    )),
    Row("Redis and cache models", ALL, (
        Panel("Requests to Redis", "ops", (
            (f"sum by (redis, kind) (rate(sanicbase_redis_request_seconds_count{{@}}{RATE}))", "{{redis}} {{kind}}"),
        )),
        Panel("p99 of requests to Redis", "s",
              quantiles("sanicbase_redis_request_seconds", 0.99, by="kind", only='@, kind!="blocking"'),
              "With the wait for a connection, without blocking commands."),
        Panel("Connections to Redis", "short", (
            ("sum by (redis, state) (sanicbase_redis_pool_connections{@})", "{{redis}} {{state}}"),
        )),
        Panel("Reads of cache models", "ops", by_label(READS, "outcome")),
        Panel("Hit ratio", "percentunit", ((f"{HITS} / {ALL_READS}", "{{model}}"),)),
        Panel("Audits that found a difference", "short", (
            (f'sum by (model) (increase({READS}{{@, outcome="mismatched"}}{RATE}))', "{{model}}"),
        ), "An entry that differs from its row."),
    )),
    Row("WebSockets", ("ws",), (
        Panel("Clients", "short", (("sum by (view) (sanicbase_websocket_clients{@})", "{{view}}"),)),
        Panel("Messages from clients", "ops", by_label("sanicbase_websocket_received_total", "view")),
        Panel("Messages to clients", "ops", (
            (f"sum by (instance) (rate(sanicbase_websocket_sent_total{{@}}{RATE}))", "{{instance}}"),
        )),
    )),
    Row("Timers", ("srv",), (
        Panel("Runs of timers", "short", (
            (f"sum by (timer, outcome) (increase(sanicbase_timer_runs_total{{@}}{RATE}))", "{{timer}} {{outcome}}"),
            (f"sum by (timer) (increase(sanicbase_timer_missed_total{{@}}{RATE}))", "{{timer}} missed"),
        ), "And ticks that were missed."),
        Panel("Time since the last success", "s", ((f"time() - {SUCCESS}", "{{timer}}"),)),
        Panel("p99 of runs of timers", "s", quantiles("sanicbase_timer_run_seconds", 0.99, by="timer")),
    )),
    Row("Jobs", ("srv",), (
        Panel("Runs of jobs", "ops", (
            (f"sum by (job_name, outcome) (rate(sanicbase_job_runs_total{{@}}{RATE}))", "{{job_name}} {{outcome}}"),
            (f"sum by (job_name) (rate(sanicbase_job_dead_letters_total{{@}}{RATE}))", "{{job_name}} dead letters"),
        ), "And jobs that failed permanently."),
        Panel("p99 of runs of jobs", "s", quantiles("sanicbase_job_run_seconds", 0.99, by="job_name")),
        Panel("Jobs in queues", "short", (
            ("max by (queue, state) (sanicbase_job_queue_jobs{@})", "{{queue}} {{state}}"),
        )),
    )),
    Row("Replicas", ALL, (
        Panel("Lag of replicas", "s", (("max by (replica) (sanicbase_db_replica_lag_seconds{@})", "{{replica}}"),)),
        Panel("Readers of replicas", "short", (("sum by (replica) (sanicbase_db_replica_readers{@})", "{{replica}}"),),
              "Processes that read from a replica; 0 while it is away or too far behind."),
    ), collapsed=True),
)  # fmt: skip
