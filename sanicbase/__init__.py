"""Everything a team's Sanic services share: configuration, lifespan, database, cache, views.

The packages, from the highest layer to the lowest; each imports only from layers below its own:

    cli                     the command sanicGuider
    testing deploy          real servers and processes for tests; the files that put a service onto machines
    app     jobs            the processes of a service: HTTP and WebSocket, scripts
    http    auth  ops  ws   views, envelope, rules; who a client is; health; WebSockets
    lifespan                what a process has open
    rc      migrations      Redis, Valkey and cache models; the history of the tables
    db                      Tortoise ORM
    log     notify          the service's log; messages to systemd
    config  codes           the settings; error codes
    private descriptors     the project's private folder; how many files and connections a process may have open
    errors  process  typing what goes wrong, by name; main process or worker; names for long types
    interrupts  terminal    a Ctrl-C that comes while Python imports; the language of the terminal
    numerals    cancelling  how numbers are written in texts; what a cancellation may not cut in two
"""

import lazy_loader

import sanicbase.interrupts  # noqa: F401  (before what takes long to import)

# What stands in the stub is imported when it is asked for: a command, or a script, pays for what it uses.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
