"""What Lamini's bodies turn into, and what comes back."""

from datetime import datetime
from typing import Any

import msgspec
import pytest
from msgspec import structs

from fakes.scripted_model import LOADED
from puna.api.encoding import encode_json
from puna.api.lamini.convert import (
    has_template_markers,
    to_batch_reply,
    to_outputs,
    to_polled_reply,
    to_requests,
    to_reservation,
    to_streaming_reply,
    to_warning,
)
from puna.api.lamini.output_type import Key, Kind, to_schema
from puna.api.lamini.progress import Progress
from puna.api.lamini.replies import NothingYetReply
from puna.api.lamini.schema import COMPLETION, MAX_PROMPTS, RESERVATION, CompletionBody
from puna.domain.chat import Message, Role
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    Completion,
    Finished,
    FinishReason,
    GenerationRequest,
    Prompt,
    Sampling,
    TextPrompt,
    Usage,
)
from puna.domain.models import LoadedModel
from puna.errors import GenerationError, InvalidRequestError

CARL = "How old is Carl, the llama with a hat?"
BASE = structs.replace(LOADED, has_chat_template=False)
AGE = (Key("age", Kind.INT),)
END = Finished(FinishReason.STOP, Usage(5, 11, 3))
CUT = Finished(FinishReason.LENGTH, Usage(1, 2))


def body(**fields: Any) -> CompletionBody:
    return COMPLETION.parse(encode_json({"model_name": "demo", "prompt": CARL} | fields))


def requests(loaded: LoadedModel = LOADED, /, **fields: Any) -> list[GenerationRequest]:
    parsed = body(**fields)
    return to_requests(parsed, parsed.read_output_type(), loaded)


def prompt(text: str, loaded: LoadedModel = LOADED, **fields: Any) -> Prompt:
    return requests(loaded, prompt=text, **fields)[0].prompt


def user(text: str) -> ChatPrompt:
    return ChatPrompt((Message(Role.USER, text),))


def progress(*deltas: str, count: int = 1, finished: Finished | None = None) -> Progress:
    made = Progress(count)
    for delta in deltas:
        made.add_text(0, delta)
    if finished is not None:
        made.finish(0, finished)
    return made


def test_a_free_text_is_the_likeliest_one() -> None:
    assert requests() == [
        GenerationRequest(
            prompt=user(CARL),
            sampling=Sampling(temperature=0, repetition_penalty=1.1),
            max_tokens=512,
        )
    ]


def test_a_typed_text_is_held_to_its_schema() -> None:
    assert requests(out_type={"age": "int"}) == [
        GenerationRequest(
            prompt=user(f"{CARL}\nAnswer as JSON with age."),
            sampling=Sampling(temperature=0),
            constraint=JsonSchemaConstraint(to_schema(AGE, max_text=1024)),
        )
    ]


def test_the_type_has_two_names_and_null_is_none() -> None:
    typed = requests(out_type={"age": "int"})
    assert requests(output_type={"age": "int"}) == typed
    assert requests(out_type={"age": "int"}, output_type={"ignored": "str"}) == typed
    assert requests(out_type=None, output_type={"age": "int"}) == typed
    assert requests(out_type=None, output_type=None, max_tokens=None, max_new_tokens=None) == requests()


def test_a_list_is_one_request_for_each_prompt_in_order() -> None:
    assert [each.prompt for each in requests(prompt=["a", "b"])] == [user("a"), user("b")]
    assert (body(prompt="a").is_list, body(prompt=["a"]).is_list) == (False, True)


def test_both_limits_are_limits_of_new_tokens() -> None:
    assert requests(max_new_tokens=7)[0].max_tokens == 7
    assert requests(max_tokens=9.0)[0].max_tokens == 9
    assert requests(max_tokens=9, max_new_tokens=7)[0].max_tokens == 7
    assert requests(max_tokens=5, max_new_tokens=7)[0].max_tokens == 5


def test_a_limit_leaves_room_for_the_keys_of_a_typed_object() -> None:
    (request,) = requests(out_type={"age": "int"}, max_new_tokens=1)
    assert request.max_tokens is not None
    assert request.max_tokens > len('{"age":-999999999999999}')
    assert requests(out_type={"age": "int"})[0].max_tokens is None


@pytest.mark.parametrize(
    "text",
    [
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>",
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        "<s>[INST] Hi [/INST]",
        "[INST] <<SYS>>Be kind.<</SYS>> Hi [/INST]",
        "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
        "<\uff5cUser\uff5c>Hi<\uff5cAssistant\uff5c>",
        "### Instruction:\nSay hi.\n\n### Response:\n",
        "Below is a task.\n\n### Instruction:\nSay hi.",
    ],
)
def test_a_prompt_with_a_template_of_its_own_goes_as_it_stands(text: str) -> None:
    assert has_template_markers(text)
    assert prompt(text) == prompt(text, BASE) == TextPrompt(text)
    assert prompt(text, out_type={"age": "int"}) == TextPrompt(text)


@pytest.mark.parametrize(
    "text", [CARL, "a < b | c > d", "x <|> y", "### Notes\nHello", "[inst]", "if (a<s>b)", "<b>bold</b>", ""]
)
def test_any_other_prompt_has_no_markers(text: str) -> None:
    assert not has_template_markers(text)


def test_a_base_model_continues_the_bare_text() -> None:
    assert prompt(CARL, BASE) == TextPrompt(CARL)
    assert prompt(CARL, BASE, out_type={"age": "int"}) == TextPrompt(f"{CARL}\nAnswer as JSON with age.\n")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"prompt": ""}, "`prompt` must be a non-empty string or a list of 1 to 256 items."),
        ({"prompt": []}, "`prompt` must be a non-empty string or a list of 1 to 256 items."),
        (
            {"prompt": ["x"] * (MAX_PROMPTS + 1)},
            "`prompt` must be a non-empty string or a list of 1 to 256 items.",
        ),
        ({"prompt": ["x", ""]}, "`prompt[1]` must be a non-empty string."),
        ({"prompt": 7}, "`prompt` must be a non-empty string or a list of 1 to 256 items."),
        ({"model_name": 7}, "`model_name` must be a string."),
        ({"out_type": ["age"]}, "`out_type` must be an object."),
        ({"out_type": {}}, "`out_type` must have 1 to 64 keys."),
        (
            {"output_type": {"age": "date"}},
            "`output_type.age` must be str, int, float, bool or a list of values.",
        ),
        ({"max_tokens": 0}, "`max_tokens` must be a whole number from 1 to 32000."),
        ({"max_new_tokens": 1.5}, "`max_new_tokens` must be a whole number from 1 to 32000."),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        requests(**fields)
    assert refused.value.message == complaint


def test_the_model_may_be_left_out_and_may_have_openai_s_name() -> None:
    assert body(model_name=None).wanted_model is None
    assert body(model_name="").wanted_model is None
    assert body(model_name=None, model="other").wanted_model == "other"
    assert body(model_name="demo", model="other").wanted_model == "demo"


def test_outputs_carry_their_reasons() -> None:
    completions = [Completion("Ten.", END), Completion("Twel", CUT)]
    assert msgspec.to_builtins(to_outputs(completions, None)) == {
        "outputs": ({"output": "Ten."}, {"output": "Twel"}),
        "finish_reason": ("stop", "length"),
    }
    assert to_outputs([Completion('{"age":10}', END)], AGE).outputs == ({"age": 10},)


def test_texts_that_were_cut_are_told() -> None:
    assert to_warning([Completion("Ten.", END)]) is None
    told = to_warning([Completion("Ten.", END), Completion("Twel", CUT)])
    assert told == "1 of 2 texts were cut at their limit; max_new_tokens sets it."


def test_nothing_yet_is_an_empty_object() -> None:
    assert encode_json(to_polled_reply(progress(), None)) == b"{}"
    assert encode_json(to_batch_reply(progress(), None)) == b"{}"
    assert to_batch_reply(progress("Ten"), None) == NothingYetReply()


def test_a_polled_stream_grows() -> None:
    assert msgspec.to_builtins(to_polled_reply(progress("Ten", " years"), None)) == {
        "outputs": ({"output": "Ten years"},),
        "finish_reason": (None,),
    }
    assert msgspec.to_builtins(to_polled_reply(progress("Ten", finished=END), None)) == {
        "outputs": ({"output": "Ten"},),
        "finish_reason": ("stop",),
    }


def test_an_empty_text_is_a_result_too() -> None:
    assert msgspec.to_builtins(to_polled_reply(progress(finished=END), None)) == {
        "outputs": ({"output": ""},),
        "finish_reason": ("stop",),
    }


def test_a_typed_object_is_shown_when_it_is_whole() -> None:
    begun, done = progress('{"age":'), progress('{"age":10}', finished=END)
    assert msgspec.to_builtins(to_polled_reply(begun, AGE)) == {"outputs": (None,), "finish_reason": (None,)}
    assert msgspec.to_builtins(to_polled_reply(done, AGE))["outputs"] == ({"age": 10},)
    assert to_streaming_reply(begun, AGE, "id").data == (NothingYetReply(),)
    with pytest.raises(GenerationError):
        to_polled_reply(progress("{", finished=END), AGE)


def test_a_batch_shows_what_is_done_from_the_front() -> None:
    made = Progress(3)
    made.finish(1, END)
    assert to_batch_reply(made, None) == NothingYetReply()
    made.add_text(0, "Ten")
    made.finish(0, END)
    assert msgspec.to_builtins(to_batch_reply(made, None)) == {
        "outputs": ({"output": "Ten"}, {"output": ""}, None),
        "finish_reason": ("stop", "stop", None),
    }


def test_an_old_client_s_stream_says_whether_it_is_whole() -> None:
    assert msgspec.to_builtins(to_streaming_reply(progress("Ten"), None, "id")) == {
        "server": "id",
        "status": (False,),
        "data": ({"output": "Ten"},),
    }
    assert to_streaming_reply(progress("Ten", finished=END), None, "id").status == (True,)


def test_tokens_are_counted_once() -> None:
    made = Progress(2)
    made.finish(0, END)
    assert made.take_usage() == END.usage
    assert made.take_usage() == Usage()
    made.finish(1, CUT)
    assert made.take_usage() == CUT.usage


def test_a_reservation_is_granted_without_an_offset() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678)
    asked = RESERVATION.parse(b'{"capacity":1000,"model_name":"demo","batch_size":7,"max_tokens":null}')
    assert msgspec.to_builtins(to_reservation(asked, now)) == {
        "reservation_id": 1,
        "start_time": "2026-01-02T03:04:05",
        "end_time": "2026-01-02T03:14:05",
        "capacity_remaining": 1000,
        "dynamic_max_batch_size": 7,
    }
    assert to_reservation(RESERVATION.parse(b"{}"), now).capacity_remaining == 5
