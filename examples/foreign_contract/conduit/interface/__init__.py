"""How clients reach conduit. Bodies have the contract's names, `createdAt` among them."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Body(BaseModel):
    """What goes over the wire: names in camelCase. What else a client sends is ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, from_attributes=True
    )
