"""`sanicGuider new`: a service, and the project around it where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sanicbase.cli.project import Project, current_project
from sanicbase.cli.scaffold.answers import Answers, complete, read_answers
from sanicbase.cli.scaffold.plan import Plan
from sanicbase.cli.scaffold.questions import ask, confirm, has_terminal
from sanicbase.cli.scaffold.service import plan_service
from sanicbase.cli.scaffold.writer import write
from sanicbase.i18n import gettext as _
from sanicbase.i18n import languages

__all__ = ["guide", "new"]

PYTEST = """\
[tool.pytest.ini_options]
pythonpath = ["."]
addopts = "--import-mode=importlib"
asyncio_mode = "auto"\
"""

LISTS = ("kinds", "models", "extra_models")


@click.command()
@click.argument("name", required=False)
@click.option("--id", "id", type=int, help="Its number on the platform; by default the next free one.")
@click.option("--kinds", help="What it consists of, of http,ws,srv; by default all.")
@click.option("--database", type=click.Choice(["sqlite", "mysql", "postgres"]), help="By default the embedded SQLite.")
@click.option("--database-url", help="Where the database is; written to .env.")
@click.option("--models", help="The model files that are migrated: main,records; by default main.")
@click.option("--extra-models", help="The model files that somebody else migrates; by default none.")
@click.option("--redis", type=click.Choice(["embedded", "server"]), help="By default the embedded Valkey.")
@click.option("--redis-url", help="Where Redis is; written to .env.")
@click.option("--http-port", type=int, help="By default the next free one.")
@click.option("--ws-port", type=int, help="By default the next free one.")
@click.option("--workers", type=int, help="Worker processes; by default 1.")
@click.option("--version", type=int, help="The version in the API's paths, /v1/…; by default none.")
@click.option("--auth", type=click.Choice(["none", "token"]), help="Who may write: everybody, or users with a token.")
@click.option("--language", type=click.Choice(languages()), help="Of the comments; by default the terminal's.")
@click.option("--answers", type=click.Path(path_type=Path), help="A TOML or JSON file with any of these; flags win.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--yes", is_flag=True, help="Ask no questions.")
def new(name: str | None, answers: Path | None, dry_run: bool, yes: bool, **flags: Any) -> None:
    """Make a service NAME: in an empty folder with a project around it, in a project beside the other services.

    Without NAME it asks for everything. Nothing is written before all is known, and then all of it or nothing.
    """
    project = current_project()
    with _as_error_messages():
        values = read_answers(answers) if answers else {}
        values |= {key: _value(key, text) for key, text in flags.items() if text is not None}
        values |= {"name": name} if name else {}
        if not values.get("name"):
            values = _ask_all(values, project, yes=yes)
        chosen, plan = _confirmed_plan(values, project, dry_run=dry_run, yes=yes)
    if not dry_run:
        _write(chosen, plan, project)


def guide() -> None:
    """What `sanicGuider` does without arguments: ask, show, make."""
    project = current_project()
    with _as_error_messages():
        answers, plan = _confirmed_plan(_ask_all({}, project, yes=False), project, dry_run=False, yes=False)
    _write(answers, plan, project)


def _ask_all(values: dict[str, Any], project: Project, *, yes: bool) -> dict[str, Any]:
    if yes or not has_terminal():
        raise click.UsageError(_("There is nobody to ask for a name. Write: sanicGuider new NAME --yes"))
    return ask(values, project)


def _confirmed_plan(values: dict[str, Any], project: Project, *, dry_run: bool, yes: bool) -> tuple[Answers, Plan]:
    """The plan, which has been shown and agreed to. Raises KeyboardInterrupt where it is not."""
    answers = complete(values, project)
    plan = plan_service(answers, project)
    click.echo(plan.tree())
    if dry_run:
        click.echo(plan.diff(), nl=False)
    elif not yes and has_terminal() and not confirm(_("Write these files?")):
        raise KeyboardInterrupt
    return answers, plan


def _write(answers: Answers, plan: Plan, project: Project) -> None:
    write(plan, project)
    click.echo(_next_steps(answers))
    if "asyncio_mode" not in (project.text("pyproject.toml") or ""):
        click.echo(_missing_section())


def _next_steps(answers: Answers) -> str:
    starts = "\n".join(f"  python {kind}_{answers.name}.py" for kind in answers.kinds)
    lines = [
        _("{name} is made. Start it:", name=answers.name),
        starts,
    ]
    if "http" in answers.kinds:
        url = f"http://127.0.0.1:{answers.http_port}/{answers.name}/hello"
        lines += [_("and in another terminal:"), f"  curl {url}"]
    return "\n".join(lines)


def _missing_section() -> str:
    """What the tests need of a pyproject.toml that was there before."""
    head = _("pyproject.toml is yours and stays as it is. The tests of a service need this in it:")
    return f"{head}\n\n{PYTEST}"


@contextmanager
def _as_error_messages() -> Iterator[None]:
    """A mistake ends the command by its sentence, Ctrl-C by one that says that nothing was written."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(_("Nothing was written."), err=True)
        raise SystemExit(130) from None
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc


def _value(key: str, text: Any) -> Any:
    return [word.strip() for word in text.split(",") if word.strip()] if key in LISTS else text
