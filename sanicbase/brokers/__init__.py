"""The message broker of JOBS_URL: one connection per process, opened with the lifespan.

opening     broker_of, which chooses by the URL
connection  Broker, what both have in common, and `get_broker`
rabbitmq    RabbitMQ, through aio-pika
jetstream   NATS JetStream, through nats-py
"""

from sanicbase.brokers.connection import Broker, get_broker
from sanicbase.brokers.opening import broker_of

__all__ = ["Broker", "broker_of", "get_broker"]
