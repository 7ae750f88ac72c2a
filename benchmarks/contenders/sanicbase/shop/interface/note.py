"""`/notes`: writing rows."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sanic import Request

from sanicbase import Created
from shop.base_api import BaseAPI
from shop.model_db.main import Note


class NoteIn(BaseModel):
    """A new note."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    author: Annotated[str, Field(min_length=1, max_length=40)]
    body: str


class NoteOut(NoteIn):
    """A note."""

    model_config = ConfigDict(from_attributes=True)

    id: int


class NotesAPI(BaseAPI):
    """All notes."""

    async def post(self, request: Request, body: NoteIn) -> Created[NoteOut]:
        """Write a note."""
        note = await Note.create(**body.model_dump())
        return Created(NoteOut.model_validate(note))
