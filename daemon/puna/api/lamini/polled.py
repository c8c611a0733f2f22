"""Routes whose results are fetched later: streams and batches."""

import hashlib
from contextlib import aclosing
from functools import partial

import msgspec
from aiohttp import web

from puna.api.background import background_of
from puna.api.body import read_body
from puna.api.completion import run_together
from puna.api.context import Context, context_of
from puna.api.errors import translate_error
from puna.api.exchange import exchange_of
from puna.api.lamini.convert import to_batch_reply, to_polled_reply, to_requests, to_streaming_reply
from puna.api.lamini.polls import Poll, Polls, polls_of
from puna.api.lamini.replies import PolledIdReply
from puna.api.lamini.schema import COMPLETION, STREAMING, CompletionBody
from puna.api.model_names import acquire_model, check_model_name
from puna.api.responses import json_response
from puna.api.streaming import check_finished
from puna.domain.generation import Finished, GenerationRequest, Priority, TextDelta
from puna.errors import NotFoundError
from puna.keys.identity import Identity
from puna.residency.lease import Lease


async def begin_stream(request: web.Request) -> web.Response:
    """POST /v3/streaming_completions: begins texts whose results are polled as they grow."""
    return await _answer_with_id(request, is_stream=True)


async def begin_batch(request: web.Request) -> web.Response:
    """POST /v1/batch_completions: begins texts that have time, behind who waits for an answer."""
    return await _answer_with_id(request, is_stream=False)


async def show_stream(request: web.Request) -> web.Response:
    """GET /v3/streaming_completions/{poll_id}/result: the text so far."""
    poll = _find(request)
    return json_response(to_polled_reply(poll.progress, poll.output_type))


async def show_batch(request: web.Request) -> web.Response:
    """GET /v1/batch_completions/{poll_id}/result: the prompts that are done, from the front."""
    poll = _find(request)
    return json_response(to_batch_reply(poll.progress, poll.output_type))


async def stream_again(request: web.Request) -> web.Response:
    """POST /v1/streaming_completions: the text so far, for clients up to 2.1.8, which send all of it with each poll.

    Some send `server` back, which is the id, and some do not: those are known by their request, until it is
    told that the text is whole, or why there is none.
    """
    body = STREAMING.parse(await read_body(request))
    owner, polls = _owner_of(request), polls_of(request)
    fingerprint = hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(body, server=None))).digest()
    if body.server:
        poll = polls.find(body.server, owner)
    else:
        poll = polls.find_again(fingerprint, owner) or _begin(
            request, body, is_stream=True, fingerprint=fingerprint
        )
    await poll.progress.wait_accepted()
    if poll.progress.is_over:
        polls.forget_request(poll)
    _settle(request, poll)
    return json_response(to_streaming_reply(poll.progress, poll.output_type, poll.id))


async def _answer_with_id(request: web.Request, *, is_stream: bool) -> web.Response:
    poll = _begin(request, COMPLETION.parse(await read_body(request)), is_stream=is_stream)
    await poll.progress.wait_accepted()
    poll.progress.check()
    return json_response(PolledIdReply(poll.id))


def _begin(request: web.Request, body: CompletionBody, *, is_stream: bool, fingerprint: bytes = b"") -> Poll:
    identity = exchange_of(request).identity
    # Before there is a poll: whoever may not use the model is told at once.
    check_model_name(body.wanted_model, identity)
    output_type, polls = body.read_output_type(), polls_of(request)
    poll = polls.add(
        _owner_of(request), len(body.prompts), output_type, is_stream=is_stream, fingerprint=fingerprint
    )
    background_of(request).start(_run(context_of(request), identity, body, poll, polls))
    return poll


def _find(request: web.Request) -> Poll:
    poll = polls_of(request).find(request.match_info["poll_id"], _owner_of(request))
    _settle(request, poll)
    return poll


def _settle(request: web.Request, poll: Poll) -> None:
    """Put the tokens of what is done on this request's account; raise what ended the poll."""
    exchange_of(request).add_usage(poll.progress.take_usage())
    poll.progress.check()


def _owner_of(request: web.Request) -> str:
    return exchange_of(request).identity.client


async def _run(context: Context, identity: Identity, body: CompletionBody, poll: Poll, polls: Polls) -> None:
    try:
        async with acquire_model(context, identity, body.wanted_model) as lease:
            # Loading may have taken longer than a stream's client is waited for.
            polls.note_interest(poll)
            poll.progress.accept()
            # Pipelines send batches by the thousand; who waits for an answer goes first.
            priority = Priority.INTERACTIVE if poll.is_stream else Priority.BACKGROUND
            requests = to_requests(body, poll.output_type, lease.loaded, priority)
            await run_together(
                [
                    partial(_follow, lease, generation, index, poll, polls)
                    for index, generation in enumerate(requests)
                ],
                at_once=lease.loaded.slots,
            )
    except Exception as error:  # noqa: BLE001 - a border: whoever polls is told
        poll.progress.fail(translate_error(error))


async def _follow(lease: Lease, generation: GenerationRequest, index: int, poll: Poll, polls: Polls) -> None:
    async with aclosing(lease.generate(generation)) as events:
        async for event in events:
            if polls.is_abandoned(poll):
                polls.forget_request(poll)
                raise NotFoundError("Nobody asked for this stream any more, so it was ended.")
            match event:
                case TextDelta(text):
                    poll.progress.add_text(index, text)
                case Finished():
                    check_finished(event)
                    poll.progress.finish(index, event)
