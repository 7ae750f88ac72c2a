"""run_command: a plain async function as a command of the service."""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
from collections.abc import Callable, Coroutine, Sequence
from types import ModuleType

from sanicbase.config import Config
from sanicbase.i18n import gettext as _
from sanicbase.jobs.arguments import Arguments
from sanicbase.jobs.scripts import run_scripts

__all__ = ["Function", "UsageError", "run_command", "service_config"]

Function = Callable[..., Coroutine[object, object, object]]
"""A plain async function; its parameters are the command's."""


class UsageError(Exception):
    """There is no such command; the message says why."""


def run_command(path: str, argv: Sequence[str]) -> None:
    """Run the function at `package.module` or `package.module:function` inside its service's lifespan.

    Without a name it is the module's `main`, or the function named as the module. `argv` becomes its arguments, see
    `Arguments`; `--help` shows its docstring. The service is the one whose package comes first in the path, with the
    settings in `<package>.config.config`.

    Raises UsageError when there is no such function. Ends the process (SystemExit) with status 2 and a message for
    invalid arguments, and with status 1 when the function fails, with its traceback in the log. SIGTERM and SIGINT
    cancel it, and its `finally` runs.
    """
    module_name, _, name = path.partition(":")
    function = _function(_imported(module_name), name, path)
    parser = argparse.ArgumentParser(
        prog=f"sanicGuider run {path}",
        description=inspect.getdoc(function),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    args, options = Arguments(function).parse(parser, argv)
    config = service_config(module_name.partition(".")[0])

    @functools.wraps(function)
    async def command() -> None:
        await function(*args, **options)

    run_scripts(config, [command])


def _imported(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(_("{name!r} is not a module. Write package.module or package.module:function.", name=name))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise  # an import inside the module failed, and the traceback shows where
        raise UsageError(
            _("There is no module {module}. Run the command in the project's folder.", module=exc.name)
        ) from exc


def _function(module: ModuleType, name: str, path: str) -> Function:
    names = [name] if name else ["main", module.__name__.rpartition(".")[2]]
    function = next((value for key in names if inspect.isfunction(value := getattr(module, key, None))), None)
    if function is None:
        functions = [key for key, value in vars(module).items() if _is_command(module, value)]
        raise UsageError(_no_function(module, names, functions))
    if not inspect.iscoroutinefunction(function):
        raise UsageError(_("{path} is not an `async def`: a command runs inside the service's lifespan.", path=path))
    return function


def _no_function(module: ModuleType, names: Sequence[str], functions: Sequence[str]) -> str:
    listed = ", ".join(functions)
    existing = _("It has {listed}.", listed=listed) if functions else _("It defines no `async def`.")
    choices = _(" or ").join(names)
    return _("{module} has no function {wanted}. {existing}", module=module.__name__, wanted=choices, existing=existing)


def _is_command(module: ModuleType, value: object) -> bool:
    return inspect.iscoroutinefunction(value) and value.__module__ == module.__name__


def service_config(package: str) -> Config:
    """The settings of the service with that package. Raises UsageError when there are none."""
    config = getattr(_imported(f"{package}.config"), "config", None)
    if not isinstance(config, Config):
        raise UsageError(_("{package}.config has no `config` of type sanicbase.Config.", package=package))
    return config
