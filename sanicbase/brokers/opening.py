"""broker_of: the broker of a service's JOBS_URL. Its client is imported here, and needs an extra."""

from __future__ import annotations

from sanicbase.brokers.connection import Broker
from sanicbase.config import Config
from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _

__all__ = ["broker_of"]


def broker_of(config: Config) -> Broker:
    """The broker of JOBS_URL, not connected. Raises ConfigError when its client is not installed."""
    scheme = config.JOBS_URL.partition("://")[0]
    try:
        if scheme in ("amqp", "amqps"):
            from sanicbase.brokers.rabbitmq import RabbitBroker

            return RabbitBroker(config)
        from sanicbase.brokers.jetstream import NatsBroker

        return NatsBroker(config)
    except ImportError as exc:
        command = f"pip install 'sanicbase[{'rabbitmq' if scheme in ('amqp', 'amqps') else 'nats'}]'"
        raise ConfigError(
            _(
                "JOBS_URL begins with {scheme}://, whose client is not installed. Run: {command}",
                scheme=scheme,
                command=command,
            )
        ) from exc
