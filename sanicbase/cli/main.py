"""The commands, and where they find the project."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sanicbase.jobs.command import UsageError, run_command

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The daily commands of a project; run them in the project's folder."""
    # As `python -m` does it: a console script finds nothing beside itself.
    if (here := str(Path.cwd())) not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


# Behind the path every word is the function's, `--help` as well.
@main.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
@click.argument("path")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS]…")
def run(path: str, words: tuple[str, ...]) -> None:
    """Run a function of a service, such as xi_test.script.rebuild, inside the service's lifespan.

    PATH is package.module or package.module:function; without a name it is the module's `main`, or the function named
    as the module. `sanicGuider run PATH --help` shows what the function takes.
    """
    try:
        run_command(path, words)
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
