"""Everything a team's Sanic services share: configuration, lifespan, database, cache, views.

The packages, from the highest layer to the lowest; each imports only from layers below its own:

    cli                     the command sanicGuider
    testing deploy          real servers and processes for tests; deployment files
    app     jobs            a service as a Sanic app; scripts
    auth                    who a client is and what it may do
    http    ops   ws        views, envelope, guards; health; WebSockets
    server                  the main process with its supervisor, and the workers
    edge                    HTTP/1.1 and WebSocket frames on a connection
    lifespan                the resources of a process
    cache                   cache models
    rc      valkey          Redis clients, messages and locks; the project's own Valkey
    migrations              the history of the tables
    db                      Tortoise ORM
    log                     the service's log
    config  codes           the settings; error codes
    private_directory       directories that no other account can replace
    process                 role, parent, signals, cancellation, limits, systemd
    errors  typing          exceptions; names for long types
    terminal  numerals      the language of the terminal; how numbers are written in texts
"""

import lazy_loader

import sanicbase.process.keyboard_interrupt  # noqa: F401  (before the slow imports)

# The names in the stub are imported on first use: a command or a script loads only what it uses.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
