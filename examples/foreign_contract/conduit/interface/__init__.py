"""The HTTP views of conduit. Bodies have the contract's names, such as `createdAt`."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Body(BaseModel):
    """The base of all bodies: names are in camelCase, and unknown fields are ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True, from_attributes=True
    )
