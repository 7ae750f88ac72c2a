"""What a service's databases have of its migrations, and what they lack, as text."""

from __future__ import annotations

from collections.abc import Iterator

from sanicbase.cli.table import table
from sanicbase.migrations.planning import Plan
from sanicbase.migrations.standing import Label, Standing
from sanicbase.migrations.statements import DATABASES
from sanicbase.terminal import say

__all__ = ["history_of", "script_of"]


def history_of(standing: Standing) -> str:
    """A table of all migrations: applied, when, or not yet."""
    rows = [(say("migration", "迁移"), say("state", "状态"), say("applied at", "应用时间"))]
    rows += [(name, state, when) for name, state, when in _history(standing)]
    return f"{_head(standing.label)}\n{table(rows)}"


def script_of(standing: Standing, plans: list[Plan]) -> str:
    """The SQL that `up` would carry out, with comments that say what it locks."""
    return "\n".join([f"-- {_head(standing.label)}", *(line for plan in plans for line in _script(plan))])


def _history(standing: Standing) -> Iterator[tuple[str, str, str]]:
    files = {migration.name for migration in standing.migrations}
    changed = {migration.name for migration in standing.changed}
    begun = standing.begun
    for name in [*standing.missing, *(migration.name for migration in standing.migrations)]:
        note = standing.whole.get(name)
        if begun and begun.migration == name:
            state = say(f"stopped at statement {begun.step}", f"停在第 {begun.step} 条语句")
        elif name not in standing.applied:
            state = say("not applied", "未应用")
        elif name not in files:
            state = say("applied, file is missing", "已应用，文件不存在")
        elif name in changed:
            state = say("applied, file was changed", "已应用，文件被修改")
        else:
            state = say("applied", "已应用")
        yield name, state, str(note.at).partition(".")[0] if note else ""


def _script(plan: Plan) -> Iterator[str]:
    whole = say("one transaction", "单个事务") if plan.is_transaction else say("statement by statement", "逐条提交")
    yield f"\n-- {plan.migration.name} ({whole})"
    for number, statement in enumerate(plan.statements, 1):
        if number <= plan.done:
            yield say(f"-- statement {number} is carried out already", f"-- 第 {number} 条语句已经执行")
        else:
            yield f"-- {statement.lock.sentence()}\n{statement.sql};"
    if plan.migration.data is not None:
        inside = plan.migration.data_in_transaction
        batches = say("in one transaction", "在单个事务中") if inside else say("in batches", "分批提交")
        yield say(f"-- migrate_data: rows, {batches}", f"-- migrate_data：数据行，{batches}")


def _head(label: Label) -> str:
    return say(
        f"{label.name} on {DATABASES[label.dialect]}, connection {label.connection}",
        f"{label.name}，数据库 {DATABASES[label.dialect]}，连接 {label.connection}",
    )
