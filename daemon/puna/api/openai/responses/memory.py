"""What a request remembers, and what is remembered of it: the way to the archive."""

from collections.abc import Iterable, Sequence

import msgspec

from puna.api.encoding import encode_json
from puna.api.openai.errors import CodedRequestError
from puna.api.openai.responses.item_replies import Item, OutputItem
from puna.api.openai.responses.items import ContextItem, NewId, referenced_ids, to_items
from puna.api.openai.responses.replies import ResponseReply
from puna.api.openai.responses.schema import ResponseBody
from puna.conversations.archive import Archive
from puna.conversations.records import StoredItem, StoredResponse
from puna.keys.identity import Identity

_item: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Item)
_MAX_SHOWN = 100


class Memory:
    """The archive as one client sees it.

    A key sees what its organisation made, a program of this machine without a key what was made without one, and
    the admin everything.
    """

    def __init__(self, archive: Archive, identity: Identity) -> None:
        self._archive = archive
        self._writes_as = identity.organisation_id or ""
        self._reads_as = None if identity.is_admin else self._writes_as

    async def recall(self, body: ResponseBody, new_id: NewId) -> list[ContextItem]:
        """Return all that the model is given: earlier turns first, then the input.

        Raises `CodedRequestError` or `NotFoundError` for what is not there.
        """
        earlier: list[ContextItem] = []
        if body.previous_response_id is not None:
            earlier = await self._recall_response(body.previous_response_id)
        stored = await self._archive.items(referenced_ids(body.input), self._reads_as)
        referenced = {item_id: from_stored(item) for item_id, item in stored.items()}
        known = {each.number for each in earlier}
        return earlier + to_items(body.input, referenced, known, new_id)

    async def keep(
        self, reply: ResponseReply, context: Iterable[ContextItem], output: Iterable[OutputItem]
    ) -> None:
        """Store an answer. Raises `StoreError`."""
        await self._archive.add(
            StoredResponse(
                id=reply.id,
                owner=self._writes_as,
                body=encode_json(reply),
                inputs=tuple(
                    StoredItem(each.item.id, encode_json(each.item), each.number) for each in context
                ),
                outputs=tuple(StoredItem(item.id, encode_json(item)) for item in output),
            )
        )

    async def body(self, response_id: str) -> bytes | None:
        """Return a stored answer as it was sent."""
        return await self._archive.body(response_id, self._reads_as)

    async def inputs(self, response_id: str) -> Sequence[Item] | None:
        """Return what a stored answer was made from."""
        items = await self._archive.inputs(response_id, self._reads_as)
        return None if items is None else [_item.decode(each.body) for each in items]

    async def forget(self, response_id: str) -> bool:
        """Remove a stored answer; False where there is none."""
        return await self._archive.remove(response_id, self._reads_as)

    async def _recall_response(self, response_id: str) -> list[ContextItem]:
        stored = await self._archive.conversation(response_id, self._reads_as)
        if stored is None:
            raise CodedRequestError(
                f"Previous response with id '{response_id[:_MAX_SHOWN]}' not found: responses are kept where "
                "`store` is true, and for a time; send the conversation as `input`.",
                field="previous_response_id",
                code="previous_response_not_found",
            )
        return [from_stored(each) for each in stored]


def from_stored(stored: StoredItem) -> ContextItem:
    """Return an item as it was kept."""
    return ContextItem(_item.decode(stored.body), stored.number)
