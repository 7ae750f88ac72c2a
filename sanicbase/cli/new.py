"""`sanicGuider new`: a service, and the project around it where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
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
@click.option("--id", "id", type=int, help="The number of the service. By default the next free one.")
@click.option("--kinds", help="The parts of the service: http,ws,srv. By default all.")
@click.option("--database", type=click.Choice(["sqlite", "mysql", "postgres"]), help="By default the embedded SQLite.")
@click.option("--database-url", help="The URL of the database. Written to .env.")
@click.option("--models", help="The model files that are migrated: main,records. By default main.")
@click.option("--extra-models", help="The model files that another service migrates. By default none.")
@click.option("--redis", type=click.Choice(["embedded", "server"]), help="By default the embedded Valkey.")
@click.option("--redis-url", help="The URL of Redis. Written to .env.")
@click.option("--http-port", type=int, help="By default the next free one.")
@click.option("--ws-port", type=int, help="By default the next free one.")
@click.option("--workers", type=int, help="The number of worker processes. By default 1.")
@click.option("--version", type=int, help="The version in the API's paths, /v1/…. By default none.")
@click.option(
    "--auth",
    type=click.Choice(["none", "token", "jwt"]),
    help="Who may write: everyone, users with a token, or users who sign in with a password (needs http and srv).",
)
@click.option("--language", type=click.Choice(languages()), help="The language of comments. By default the terminal's.")
@click.option(
    "--answers",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A TOML or JSON file with any of these. Flags take precedence.",
)
@click.option("--dry-run", is_flag=True, help="Show the files that would be written, without writing them.")
@click.option("--yes", is_flag=True, help="Do not prompt.")
def new(name: str | None, answers: Path | None, dry_run: bool, yes: bool, **flags: Any) -> None:
    """Create a service NAME. In an empty folder, this creates a project as well.

    Without NAME, it prompts for each answer. Files are written after the last answer, either all or none.
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
    """Create a service interactively: `sanicGuider` without arguments."""
    project = current_project()
    with _as_error_messages():
        answers, plan = _confirmed_plan(_ask_all({}, project, yes=False), project, dry_run=False, yes=False)
    _write(answers, plan, project)


def _ask_all(values: dict[str, Any], project: Project, *, yes: bool) -> dict[str, Any]:
    if yes or not has_terminal():
        raise click.UsageError(
            _("A name is required, and there is no terminal to ask for it. Run: sanicGuider new NAME --yes")
        )
    return ask(values, project)


def _confirmed_plan(values: dict[str, Any], project: Project, *, dry_run: bool, yes: bool) -> tuple[Answers, Plan]:
    """Show the plan and ask for confirmation. Raises KeyboardInterrupt when it is declined."""
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
    if answers.auth == "jwt" and None in map(find_spec, ("jwt", "pwdlib")):
        starts = f"  pip install 'sanicbase[jwt,passwords]'\n{starts}"
    lines = [
        _("Created {name}. Start it:", name=answers.name),
        starts,
    ]
    if "http" in answers.kinds:
        url = f"http://127.0.0.1:{answers.http_port}/{answers.name}/hello"
        lines += [_("and in another terminal:"), f"  curl {url}"]
    return "\n".join(lines)


def _missing_section() -> str:
    """The section that the tests need in an existing pyproject.toml."""
    head = _("pyproject.toml exists and was not changed. The tests of a service need this section:")
    return f"{head}\n\n{PYTEST}"


@contextmanager
def _as_error_messages() -> Iterator[None]:
    """Report errors by their messages, and Ctrl-C by saying that nothing was written."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(_("Nothing was written."), err=True)
        raise SystemExit(130) from None
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc


def _value(key: str, text: Any) -> Any:
    return [word.strip() for word in text.split(",") if word.strip()] if key in LISTS else text
