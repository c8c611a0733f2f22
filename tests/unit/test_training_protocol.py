"""Messages to and from a trainer."""

import pytest

from puna.domain.training import Choice, TextPart, TextSample, TokenSample, TrainingSettings
from puna.engine.protocol import HEADER_BYTES, ProtocolError, decode_header
from puna.engine.trainer_protocol import (
    AddChoices,
    AddHeldOut,
    AddSamples,
    Begin,
    Cancel,
    Cancelled,
    Checkpointed,
    Configure,
    FromTrainer,
    Loading,
    Prepare,
    ToTrainer,
    TrainingFailed,
    decode_from_trainer,
    decode_to_trainer,
    encode_frame,
)
from puna.errors import ErrorKind

SAMPLES = (TokenSample([1, 2, 3], ((1, 3),)), TextSample((TextPart("Hi"), TextPart(" you", is_answer=True))))


def test_messages_to_the_trainer_arrive_as_they_were_sent() -> None:
    messages: list[ToTrainer] = [
        Configure(base="b", adapter="a", checkpoint="c", settings=TrainingSettings(), metadata={"k": "v"}),
        AddSamples(SAMPLES),
        AddHeldOut(SAMPLES),
        AddChoices((Choice(SAMPLES, right=1),)),
        Prepare(),
        Begin(),
        Cancel(keeps_checkpoint=False),
    ]
    frame = encode_frame(messages)
    assert decode_header(frame[:HEADER_BYTES]) == len(frame) - HEADER_BYTES
    assert decode_to_trainer(frame[HEADER_BYTES:]) == messages


def test_messages_from_the_trainer_arrive_as_they_were_sent() -> None:
    messages: list[FromTrainer] = [
        Loading(0.5),
        Checkpointed(3),
        Cancelled(4, has_checkpoint=True),
        TrainingFailed(ErrorKind.INVALID_REQUEST, "Why."),
    ]
    assert decode_from_trainer(encode_frame(messages)[HEADER_BYTES:]) == messages


def test_what_is_no_message_is_refused() -> None:
    for decode in (decode_to_trainer, decode_from_trainer):
        for garbage in (b"\x91\x81\xa4type\xa6pickle", b"\x91\x81\xa4type\xa2\xff\xfe"):
            with pytest.raises(ProtocolError):
                decode(garbage)
