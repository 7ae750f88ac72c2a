"""The queues of a service, and where they are: Redis, RabbitMQ or NATS JetStream."""
