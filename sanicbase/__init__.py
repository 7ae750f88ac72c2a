"""Everything a team's Sanic services share: configuration, lifespan, database, cache, views.

The packages, from the highest layer to the lowest; each imports only from layers below its own:

    cli                     the command sanicGuider
    testing deploy          real servers and processes for tests; the files that put a service onto machines
    app     jobs            a service as a Sanic app; scripts
    http    auth  ops  ws   views, envelope, rules; who a client is; health; WebSockets
    server                  the main process with its supervisor, and the workers
    lifespan                what a process has open
    cache                   cache models
    rc      valkey          Redis clients, messages and locks; the project's own Valkey
    migrations              the history of the tables
    db                      Tortoise ORM
    log                     the service's log
    config  codes  private  the settings; error codes; the project's private folder
    process                 its role, its parent, signals, cancellations, limits, systemd
    errors  typing          what goes wrong, by name; names for long types
    terminal  numerals      the language of the terminal; how numbers are written in texts
"""

import lazy_loader

import sanicbase.process.keyboard_interrupt  # noqa: F401  (before what takes long to import)

# What stands in the stub is imported when it is asked for: a command, or a script, pays for what it uses.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
