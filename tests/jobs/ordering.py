"""The tables of a shop whose transactions enqueue jobs."""

from __future__ import annotations

from typing import Any

from tortoise import fields

from sanicbase import CompletedJob, Config, DBModel, OutboxMessage


class Order(DBModel):
    id = fields.IntField(primary_key=True)
    mails = fields.IntField(default=0)

    class Meta:
        table = "shop_order"


class Outbox(OutboxMessage):
    class Meta:
        table = "shop_outbox"


class Completed(CompletedJob):
    class Meta:
        table = "shop_completed_job"


class OrderingConfig(Config):
    SERVER_NAME = "shop"

    MODULES: list[str] = ["tests.jobs.ordering"]

    def tortoise(self) -> dict[str, Any]:
        settings = super().tortoise()
        settings["apps"][self.SERVER_NAME]["models"] += self.MODULES
        return settings
