"""Items as their readers see them."""

import os
from datetime import datetime

from sanicbase import RCModel
from shop.model_db.main import Item


class ItemRC(RCModel):
    """A single item."""

    id: int
    name: str
    category: str
    description: str
    price: int
    stock: int
    active: bool
    created_at: datetime

    class Meta:
        source = Item
        local = os.environ.get("LOCAL") == "true"
