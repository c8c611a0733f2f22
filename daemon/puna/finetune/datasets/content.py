"""The content of a sample as hashes: which samples are the same, and which must stay together."""

from hashlib import blake2b

from puna.domain.chat import Message
from puna.domain.datasets import Completion, Conversation, Labelled, PlainText, Sample

_HASH_BYTES = 8


def text_hash(sample: Sample, *, seed: int = 0) -> int:
    """Return 64 bits of what a sample is about: of a labelled one its text without the labels.

    Other seeds give other numbers. They are the same on every machine and in every version.
    """
    return _hash(_texts(sample), seed)


def answer_hash(sample: Sample) -> int:
    """Return 64 bits of the labels, whatever their order; of other samples a constant."""
    return _hash(sorted(sample.labels), 0) if isinstance(sample, Labelled) else 0


def texts_of(sample: Sample) -> list[str]:
    """Return all that a model reads or writes of a sample."""
    match sample:
        case Labelled():
            return [sample.text, *sample.labels]
        case PlainText():
            return [sample.text]
        case Completion():
            return [sample.prompt, sample.completion]
        case Conversation():
            return [text for message in sample.messages for text in _texts_of_message(message)]


def _texts(sample: Sample) -> list[str]:
    return [sample.text] if isinstance(sample, Labelled) else texts_of(sample)


def _texts_of_message(message: Message) -> list[str]:
    calls = [text for call in message.tool_calls for text in (call.name, call.arguments)]
    return [message.role.value, message.content, message.reasoning or "", *calls]


def _hash(texts: list[str], seed: int) -> int:
    digest = blake2b(digest_size=_HASH_BYTES, key=str(seed).encode()[-64:])
    for text in texts:
        content = text.encode()
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return int.from_bytes(digest.digest(), "big")
