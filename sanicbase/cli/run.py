"""`sanicGuider run`: a function of a service, inside of its lifespan."""

from __future__ import annotations

import click

from sanicbase.jobs.command import UsageError, run_command

__all__ = ["run"]


# Behind the path every word is the function's, `--help` as well.
@click.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
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
