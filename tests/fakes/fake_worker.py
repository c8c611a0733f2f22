"""A worker without a model: keeps the contract of `puna worker`, or breaks it in one way.

    python fake_worker.py MODE

echo       answers every request with its prompt, a word at a time
wait       answers only when the request is aborted, but counts
crash      dies of an abort signal with the first request
babble     prints text where a frame belongs with the first request
refuse     says that the model cannot be loaded
die        ends with code 7 while the model loads
hang       never says that the model is loaded, and ignores the end of its pipe
"""

import os
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO

from puna.domain.generation import Finished, FinishReason, TextDelta, TextPrompt, Usage
from puna.domain.models import LoadedModel, WorkerStatus
from puna.engine import protocol
from puna.engine.protocol import (
    Abort,
    Count,
    Counted,
    Event,
    Failed,
    FromWorker,
    Generate,
    Loaded,
    Loading,
    Shutdown,
    Status,
)
from puna.errors import ErrorKind

LOADED = LoadedModel(
    architecture="fake",
    description="a fake",
    n_parameters=0,
    size_bytes=0,
    context_length=128,
    trained_context_length=128,
    total_cells=128,
    slots=2,
    threads=1,
    gpu_layers=0,
    backend="CPU",
    backend_reason="a fake",
    has_chat_template=False,
)


class FakeWorker:
    def __init__(self, mode: str, reader: BinaryIO, writer: BinaryIO) -> None:
        self.mode = mode
        self.reader = reader
        self.writer = writer

    def read(self) -> list[protocol.ToWorker]:
        header = self.reader.read(protocol.HEADER_BYTES)
        if len(header) < protocol.HEADER_BYTES:
            raise EOFError
        return protocol.decode_to_worker(self.reader.read(protocol.decode_header(header)))

    def write(self, *messages: FromWorker) -> None:
        self.writer.write(protocol.encode_frame(messages))
        self.writer.flush()

    def run(self) -> int:
        self.read()
        print("fake worker: loading /home/someone/models/fake.gguf", file=sys.stderr, flush=True)
        match self.mode:
            case "refuse":
                self.write(Failed(None, ErrorKind.MODEL_LOAD_FAILED, "fake.gguf cannot be run: no."))
                return 3
            case "die":
                return 7
            case "hang":
                threading.Event().wait()
        self.write(Loading(0.5))
        self.write(Loaded(LOADED))
        while True:
            for message in self.read():
                if isinstance(message, Shutdown):
                    return 0
                self.answer(message)

    def answer(self, message: protocol.ToWorker) -> None:
        match message:
            case Generate(request_id, request):
                self.begin(request_id, request.prompt)
            case Count(request_id):
                self.write(Counted(request_id, 1))
            case Abort(request_id):
                self.write(
                    Event(request_id, Finished(FinishReason.ABORT, Usage())),
                    Status(WorkerStatus(steps=request_id)),
                )

    def begin(self, request_id: int, prompt: object) -> None:
        match self.mode:
            case "crash":
                print("GGML_ASSERT(false) failed", file=sys.stderr, flush=True)
                os.abort()
            case "babble":
                self.writer.write(b"llama_model_loader: hello\n" * 10)
                self.writer.flush()
            case "wait":
                self.write(Event(request_id, TextDelta("waiting")), Status(WorkerStatus(busy_slots=1)))
            case _:
                assert isinstance(prompt, TextPrompt)
                self.echo(request_id, prompt.text.split())

    def echo(self, request_id: int, words: Sequence[str]) -> None:
        for word in words:
            self.write(Event(request_id, TextDelta(word)))
        self.write(Event(request_id, Finished(FinishReason.STOP, Usage(len(words), len(words)))))


if __name__ == "__main__":
    try:
        sys.exit(FakeWorker(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer).run())
    except EOFError:
        sys.exit(0)
