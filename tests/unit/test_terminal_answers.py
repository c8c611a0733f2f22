"""What is asked and what comes: requests, streams, stopping, and the chat around them."""

import io
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from puna.domain.downloads import Download, DownloadState, FileProgress
from puna.errors import GenerationError, InvalidRequestError, ModelNotFoundError, NotRunningError, PunaError
from puna.instance import Endpoint
from puna.terminal.answer_view import PlainView
from puna.terminal.answering import Answer, figures, receive, stoppable
from puna.terminal.conversation import Conversation, Message
from puna.terminal.daemon import ChatDaemon, LoadingModel
from puna.terminal.download import bring, pace
from puna.terminal.models import TerminalModels
from puna.terminal.options import ChatOptions
from puna.terminal.redrawing import can_redraw, waiting
from puna.terminal.screen import Screen
from puna.terminal.session import Session
from puna.terminal.single_answer import answer_once, read_prompt
from puna.terminal.wire import Ended, Event, Piece, Usage, decode_event, decode_refusal, encode_request

TALK = Conversation(model="demo", messages=(Message("user", "Hi"),))


def body_of(conversation: Conversation) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_request(conversation))
    return body


def test_a_request_says_what_was_set_and_nothing_else() -> None:
    assert body_of(TALK) == {
        "model": "demo",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    options = ChatOptions(system="Be brief.", temperature=0, seed=7, stop=("x",), think="low", format="json")
    body = body_of(TALK.with_options(options))
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["seed"], body["stop"], body["think"]) == (0, 7, ["x"], "low")
    assert body["response_format"] == {"type": "json_object"}


def test_a_schema_is_sent_as_it_is_and_reasoning_not_again() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    asked = TALK.with_options(ChatOptions(format=json.dumps(schema))).answered("Hello.", "hm").asking("And?")
    body = body_of(asked)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"schema": schema, "name": "answer"},
    }
    assert body["messages"][1] == {"role": "assistant", "content": "Hello."}


@pytest.mark.parametrize(
    ("line", "events"),
    [
        (b"", ()),
        (b": comment\n", ()),
        (b"event: x\n", ()),
        (b"data: [DONE]\n", ()),
        (b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n', ()),
        (b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\r\n', (Piece("a"),)),
        (b'data:{"choices":[{"delta":{"reasoning_content":"r","reasoning":"r"}}]}', (Piece("", "r"),)),
        (
            b'data: {"choices":[{"delta":{"content":"z"},"finish_reason":"stop"}]}',
            (Piece("z"), Ended("stop")),
        ),
        (
            b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}',
            (Usage(3, 4),),
        ),
    ],
)
def test_a_line_of_the_stream_becomes_events(line: bytes, events: tuple[Event, ...]) -> None:
    assert decode_event(line) == events


def test_what_fails_in_the_stream_is_raised() -> None:
    with pytest.raises(GenerationError, match=r"It broke\."):
        decode_event(b'data: {"error":{"message":"It broke.","type":"server_error"}}')
    for garbage in (b"data: {", b"data: \xff", b'data: {"choices": 3}'):
        with pytest.raises(PunaError, match="another version"):
            decode_event(garbage)


def test_a_refusal_has_its_sentence_or_its_status() -> None:
    refusal = decode_refusal(404, b'{"error":{"message":"No such model.","code":"model_not_found"}}')
    assert (refusal.message, refusal.code, refusal.status) == ("No such model.", "model_not_found", 404)
    assert decode_refusal(502, b"<html>").message == "Puna refused with status 502."


class ScriptedEvents:
    """An answer that comes as a test says; a function among the events is called, an error raised."""

    def __init__(self, *steps: Event | PunaError | Callable[[], object]) -> None:
        self._steps = list(steps)
        self.is_over = False
        self.is_closed = False

    def take(self, timeout_s: float) -> list[Event]:
        if not self._steps:
            self.is_over = True
            return []
        match self._steps.pop(0):
            case PunaError() as error:
                raise error
            case Piece() | Usage() | Ended() as event:
                return [event]
            case call:
                call()
                return []

    def close(self) -> None:
        self.is_closed = True


class Notes(PlainView):
    """Keeps what is waited for."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        super().__init__(self.out, is_terminal=False, shows_thoughts=True)
        self.notes: list[str] = []

    def wait(self, note: str) -> None:
        self.notes.append(note)


def test_an_answer_is_shown_and_returned_whole() -> None:
    view = Notes()
    events = ScriptedEvents(Piece("", "Hm."), Piece("Hel"), Piece("lo."), Ended("stop"), Usage(3, 2))
    answer = receive(events, view)
    assert (answer.text, answer.thought, answer.end, answer.usage) == ("Hello.", "Hm.", "stop", Usage(3, 2))
    assert view.out.getvalue() == "Hm.\n\nHello.\n"
    assert events.is_closed
    assert view.notes == []


def test_what_keeps_the_first_word_is_told_now_and_then() -> None:
    now_s = 0.0

    def pass_time() -> None:
        nonlocal now_s
        now_s += 0.3

    view = Notes()
    steps = [pass_time] * 5
    receive(
        ScriptedEvents(*steps, Piece("a"), *steps),
        view,
        waiting_for=lambda: f"at {now_s:.1f}",
        clock=lambda: now_s,
    )
    assert view.notes == ["at 0.6", "at 1.2"]


def test_what_came_before_a_failure_is_shown() -> None:
    view = Notes()
    events = ScriptedEvents(Piece("Hel"), GenerationError("It broke."))
    with pytest.raises(GenerationError):
        receive(events, view)
    assert view.out.getvalue() == "Hel\n"
    assert events.is_closed


def test_ctrl_c_stops_the_answer_and_not_the_program() -> None:
    before = signal.getsignal(signal.SIGINT)
    events = ScriptedEvents(Piece("a"), lambda: signal.raise_signal(signal.SIGINT), Piece("b"))
    with stoppable() as is_stopped:
        answer = receive(events, Notes(), is_stopped=is_stopped)
        assert is_stopped()
    assert (answer.text, answer.end, events.is_closed) == ("a", None, True)
    assert signal.getsignal(signal.SIGINT) is before


def test_figures_are_a_line_and_nothing_where_none_are_known() -> None:
    answer = Answer(text="x", thought="", usage=Usage(10, 21), first_s=0.5, total_s=2.5)
    assert figures(answer) == "10 + 21 tokens, first after 0.5 s, all in 2.5 s, 10.0 tokens/s"
    assert figures(Answer(text="", thought="")) == ""
    one = Answer(text="x", thought="", usage=Usage(10, 1), first_s=0.5, total_s=0.5)
    assert figures(one) == "10 + 1 tokens, first after 0.5 s, all in 0.5 s"


class Piped(io.StringIO):
    """Standard input that is no terminal."""


class Typed(io.StringIO):
    """Standard input that is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("words", "stdin", "prompt"),
    [
        (["Why", "is", "it?"], Typed(), "Why is it?"),
        ([], Piped("hi\n"), "hi"),
        (["Summarise:"], Piped("a\nb\n\n"), "Summarise:\n\na\nb\n"),
        (["Summarise:"], Piped(""), "Summarise:"),
        ([], Piped("\ufeffhi"), "hi"),
    ],
)
def test_the_question_is_what_is_typed_and_what_is_piped(
    words: list[str], stdin: io.StringIO, prompt: str
) -> None:
    assert read_prompt(words, stdin) == prompt


def test_without_a_question_it_says_so() -> None:
    with pytest.raises(InvalidRequestError, match="nothing to ask"):
        read_prompt([], Piped(" \n"))


def test_one_answer_tells_on_standard_error_when_it_was_cut(capsys: pytest.CaptureFixture[str]) -> None:
    events = ScriptedEvents(Piece("Onc"), Ended("length"), Usage(1, 1))
    answer_once(events, Notes(), ChatOptions(figures=True))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("puna: The answer was cut")
    assert "1 + 1 tokens" in told.err
    with pytest.raises(PunaError, match="empty"):
        answer_once(ScriptedEvents(Ended("stop")), Notes(), ChatOptions())


class ScriptedModels:
    """The daemon of a chat."""

    def __init__(self, *answers: ScriptedEvents | PunaError) -> None:
        self._answers = list(answers)
        self.asked: list[Conversation] = []
        self.calls: list[str] = []
        self.state = LoadingModel("demo", "ready", context_length=2048, backend="CPU")

    def answer(self, conversation: Conversation) -> ScriptedEvents:
        self.asked.append(conversation)
        answer = self._answers.pop(0)
        if isinstance(answer, PunaError):
            raise answer
        return answer

    def models(self) -> tuple[str, ...]:
        return ("demo", "other")

    def resident(self, name: str) -> LoadingModel | None:
        return self.state if name == self.state.id else None

    def waiting_for(self, name: str) -> str:
        return "waiting ..."

    def warm_up(self, name: str) -> None:
        self.calls.append(f"warm up {name}")

    def ensure(self, name: str) -> str:
        self.calls.append(f"ensure {name}")
        if name == "nope":
            raise ModelNotFoundError("There is no model nope.")
        return name


class ScriptedEditor:
    """Types lines; an exception among them is a key. At the end Ctrl-D."""

    def __init__(self, *lines: str | type[BaseException]) -> None:
        self._lines = list(lines)

    def read(self) -> str:
        if not self._lines:
            raise EOFError
        line = self._lines.pop(0)
        if isinstance(line, str):
            return line
        raise line


def chat(models: ScriptedModels, *lines: str | type[BaseException]) -> tuple[Session, str]:
    """Type lines, and return the session and what was shown."""
    out = io.StringIO()
    session = Session(
        models, ScriptedEditor(*lines), Screen(Console(file=out, width=200)), Conversation(model="demo")
    )
    session.run()
    return session, out.getvalue()


def said(*texts: str) -> ScriptedEvents:
    return ScriptedEvents(*map(Piece, texts), Ended("stop"), Usage(3, len(texts)))


def test_a_chat_remembers_what_was_said() -> None:
    models = ScriptedModels(said("Hel", "lo."), said("Fine."))
    session, shown = chat(models, "Hi", "", "How are you?")
    assert models.calls == ["warm up demo"]
    assert [message.content for message in models.asked[1].messages] == ["Hi", "Hello.", "How are you?"]
    assert [message.content for message in session.conversation.messages][-1] == "Fine."
    assert "Hello.\n" in shown


def test_a_mistake_in_puna_does_not_cost_the_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.delenv("PUNA_DEBUG", raising=False)
    models = ScriptedModels(said("One."), ScriptedEvents(fail), said("Two."))
    session, shown = chat(models, "a", "b", "c")
    assert "Unexpected ZeroDivisionError: oh. This is a mistake in Puna." in shown
    assert [each.content for each in session.conversation.messages] == ["a", "One.", "c", "Two."]


def test_a_home_of_nobody_is_told() -> None:
    _, shown = chat(ScriptedModels(), "/save ~nobody-here/x", "/load ~nobody-here/x", "/bye")
    assert shown.count("~nobody-here/x is in the home folder of nobody here; type its whole path.") == 2


def test_an_option_without_a_value_is_shown() -> None:
    session, shown = chat(ScriptedModels(), "/set seed 7", "/set seed", "/set  think  off", "/set warm")
    assert "seed is 7; it takes a whole number, -1 for a new one.\n" in shown
    assert "There is no option warm; there are system," in shown
    assert session.conversation.options == ChatOptions(seed=7, think=False)


def test_a_failed_question_is_forgotten_and_the_chat_goes_on() -> None:
    models = ScriptedModels(
        NotRunningError("Nothing answers."),
        ScriptedEvents(Piece("Ha"), GenerationError("It broke.")),
        said("Yes."),
    )
    session, shown = chat(models, "One", "Two", "Three")
    assert "Nothing answers.\n" in shown
    assert "Ha\nIt broke.\n" in shown
    assert session.conversation.messages == (Message("user", "Three"), Message("assistant", "Yes."))


def test_a_stopped_answer_stays_in_the_conversation_and_one_without_words_does_not() -> None:
    def press() -> None:
        signal.raise_signal(signal.SIGINT)

    models = ScriptedModels(
        ScriptedEvents(press, Piece("x")), ScriptedEvents(Piece("Onc"), press, Piece("e"))
    )
    session, shown = chat(models, "One", "Two")
    assert session.conversation.messages == (Message("user", "Two"), Message("assistant", "Onc"))
    assert "Stopped; the question is forgotten.\n" in shown


def test_ctrl_c_at_the_prompt_does_not_leave() -> None:
    models = ScriptedModels(said("Yes."))
    _, shown = chat(models, KeyboardInterrupt, "Hi", "/bye", "never")
    assert "Ctrl-D or /bye leaves." in shown
    assert len(models.asked) == 1


def test_options_models_and_conversations_change_by_commands(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    models = ScriptedModels(said("Hello."), said("Arr."))
    session, shown = chat(
        models,
        "/set temperature 0",
        "/set temperature hot",
        "Hi",
        f"/save {file}",
        "/clear",
        "/model nope",
        "/model other",
        "/model",
        "/set system Pirate.",
        "Hi again",
        f"/load {file}",
        "/show",
        "/help",
        "/dance",
    )
    assert models.asked[0].options.temperature == 0
    assert models.asked[1].model == "other"
    assert [turn.content for turn in models.asked[1].turns] == ["Pirate.", "Hi again"]
    assert models.calls == [
        "warm up demo", "ensure nope", "ensure other", "warm up other", "ensure demo", "warm up demo",
    ]  # fmt: skip
    assert session.conversation == Conversation(
        model="demo",
        options=ChatOptions(temperature=0),
        messages=(Message("user", "Hi"), Message("assistant", "Hello.")),
    )
    for words in (
        "temperature is 0.",
        "temperature takes a number from 0 to 2, or default; not hot.",
        f"Saved to {file}.",
        "There is no model nope.",
        "The next answer is from other.",
        "system is Pirate.",
        "Loaded 2 messages with demo.",
        "2048 tokens",
        "/clear",
        "There is no command /dance",
    ):
        assert words in shown


def test_what_is_worth_knowing_about_an_answer_is_told() -> None:
    cut = ScriptedEvents(Piece("Onc"), Ended("length"), Usage(3, 1))
    _, shown = chat(ScriptedModels(cut, said()), "/set figures on", "One", "Two")
    assert "The answer was cut" in shown
    assert "3 + 1 tokens" in shown
    assert "The answer is empty." in shown


Part = bytes | Callable[[], object]


class Daemon(BaseHTTPRequestHandler):
    """Answers as a test says: by path, a status, a body, and pauses between its parts."""

    answers: Mapping[str, tuple[int, Sequence[Part]]]
    seen: list[tuple[str, str | None, bytes]]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.path, self.headers["Authorization"], body))
        status, parts = self.answers[self.path]
        self.send_response(status)
        self.end_headers()
        for part in parts:
            if isinstance(part, bytes):
                self.wfile.write(part)
                self.wfile.flush()
            else:
                part()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - named by http.server
        """Say nothing."""


@contextmanager
def daemon(
    answers: Mapping[str, tuple[int, Sequence[Part]]],
) -> Iterator[tuple[Endpoint, list[tuple[str, str | None, bytes]]]]:
    """Run a daemon with an answer for each path."""
    seen: list[tuple[str, str | None, bytes]] = []
    handler = type(
        "Answers",
        (Daemon,),
        {"answers": answers, "seen": seen},
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
        thread.start()
        endpoint = Endpoint(
            pid=1,
            create_time=0,
            host="127.0.0.1",
            port=server.server_port,
            token="secret",
            instance="i",
            version="0",
        )
        try:
            yield endpoint, seen
        finally:
            server.shutdown()
            thread.join()


CHAT = "/v1/chat/completions"
CHUNK = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


def drain(models: ChatDaemon) -> str:
    view = Notes()
    receive(models.answer(TALK), view)
    return view.out.getvalue()


def test_an_answer_streams_over_http_with_the_token() -> None:
    end = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    with daemon({CHAT: (200, [CHUNK, CHUNK, end])}) as (endpoint, seen):
        assert drain(ChatDaemon(lambda: endpoint)) == "aa\n"
    [(path, authorisation, body)] = seen
    assert (path, authorisation, json.loads(body)["model"]) == (
        "/v1/chat/completions",
        "Bearer secret",
        "demo",
    )


def test_a_refused_answer_and_a_daemon_that_is_gone_are_sentences() -> None:
    refused = b'{"error":{"message":"The prompt does not fit."}}'
    with (
        daemon({CHAT: (400, [refused])}) as (endpoint, _),
        pytest.raises(PunaError, match=r"The prompt does not fit\."),
    ):
        drain(ChatDaemon(lambda: endpoint))
    with pytest.raises(NotRunningError, match="Nothing answers at"):
        drain(ChatDaemon(lambda: endpoint))


def test_a_failure_that_waits_behind_its_text_is_told_after_it() -> None:
    failure = b'data: {"error":{"message":"The worker died."}}\n\n'
    with daemon({CHAT: (200, [CHUNK, failure])}) as (endpoint, _):
        stream = ChatDaemon(lambda: endpoint).answer(TALK)
        # Everything is there before the first look at it.
        for thread in threading.enumerate():
            if thread.name == "answer":
                thread.join(60)
        assert stream.take(60) == [Piece("a")]
        with pytest.raises(GenerationError, match=r"The worker died\."):
            stream.take(60)
    assert stream.is_over


def test_an_answer_that_breaks_off_is_no_whole_one() -> None:
    with (
        daemon({CHAT: (200, [CHUNK])}) as (endpoint, _),
        pytest.raises(NotRunningError, match="The answer broke off"),
    ):
        drain(ChatDaemon(lambda: endpoint))


def test_closing_wakes_the_reader_and_the_daemon_sees_it() -> None:
    has_left, may_end = threading.Event(), threading.Event()

    def keep_writing() -> None:
        try:
            while not may_end.wait(0.01):
                raise_when_gone()
        except OSError:
            has_left.set()

    def raise_when_gone() -> None:
        handlers[0].wfile.write(CHUNK)
        handlers[0].wfile.flush()

    handlers: list[Daemon] = []
    original = Daemon._answer

    def remember(self: Daemon) -> None:
        handlers.append(self)
        original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Daemon, "_answer", remember)
        with daemon({CHAT: (200, [keep_writing])}) as (endpoint, _):
            stream = ChatDaemon(lambda: endpoint).answer(TALK)
            assert stream.take(60)
            stream.close()
            try:
                assert has_left.wait(60)
            finally:
                may_end.set()
            deadline = time.monotonic() + 60
            while not stream.is_over:
                stream.take(0.1)
                assert time.monotonic() < deadline


MISSING = b'{"error":{"message":"No such model.","code":"model_not_found"}}'


def test_a_model_that_is_there_is_not_downloaded() -> None:
    with daemon({"/v1/models/demo": (200, [b'{"id":"demo"}'])}) as (endpoint, _):
        downloads = ScriptedDownloads()
        assert TerminalModels(lambda: endpoint, lambda _: downloads).ensure("demo") == "demo"
        assert downloads.begun == []


def test_a_model_that_is_not_there_is_downloaded_with_its_progress(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun = msgspec.json.encode(download(DownloadState.QUEUED, 0))
    states = [download(DownloadState.RUNNING, 50), download(DownloadState.DONE, 100)]
    news = [b"event: download\ndata: " + msgspec.json.encode(each) + b"\n\n" for each in states]
    answers = {
        "/v1/models/org/name": (404, [MISSING]),
        "/puna/v1/downloads": (200, [begun]),
        "/puna/v1/downloads/d1?follow=1": (200, [b": hello\n\n", *news]),
    }
    with daemon(answers) as (endpoint, seen):
        assert TerminalModels(lambda: endpoint).ensure("org/name") == "org/name:Q4_K_M"
    assert (seen[1][0], seen[1][2]) == ("/puna/v1/downloads", b'{"model":"org/name"}')
    assert "50 % of org/name:Q4_K_M" in capsys.readouterr().err


def test_a_model_that_is_nowhere_is_told_in_the_daemons_words() -> None:
    words = "There is no model nope, here or on the Hub."
    refusal = msgspec.json.encode({"detail": words, "error": words})
    answers = {"/v1/models/nope": (404, [MISSING]), "/puna/v1/downloads": (404, [refusal])}
    with daemon(answers) as (endpoint, _), pytest.raises(PunaError, match="here or on the Hub"):
        TerminalModels(lambda: endpoint).ensure("nope")


def test_ctrl_c_pauses_a_download(capsys: pytest.CaptureFixture[str]) -> None:
    downloads = ScriptedDownloads(download(DownloadState.RUNNING, 5), download(DownloadState.CANCELLED, 5))
    with daemon({"/v1/models/org/name": (404, [MISSING])}) as (endpoint, _), pytest.raises(KeyboardInterrupt):
        TerminalModels(lambda: endpoint, lambda _: downloads).ensure("org/name")
    assert downloads.paused == ["d1"]
    assert "The download is paused; `puna pull org/name:Q4_K_M` goes on." in capsys.readouterr().err


def test_what_is_waited_for_is_the_load_with_its_progress() -> None:
    loading = b'{"models":[{"id":"big","state":"loading","progress":0.425}]}'
    with daemon({"/puna/v1/status": (200, [loading])}) as (endpoint, _):
        assert ChatDaemon(lambda: endpoint).waiting_for("alias-of-big") == "loading big, 42% ..."
    assert ChatDaemon(lambda: endpoint).waiting_for("big") == "waiting ..."


def test_a_glance_at_what_an_answer_waits_for_looks_for_no_daemon() -> None:
    """To find one may take half a minute where it is busy; neither text nor Ctrl-C would be seen meanwhile."""
    found: list[Endpoint] = []

    def find() -> Endpoint:
        found.append(endpoint)
        return endpoint

    loading = b'{"models":[{"id":"big","state":"loading","progress":0.425}]}'
    with daemon({CHAT: (200, [CHUNK]), "/puna/v1/status": (200, [loading])}) as (endpoint, _):
        models = ChatDaemon(find)
        stream = models.answer(TALK)
        assert models.waiting_for("big") == "loading big, 42% ..."
        stream.close()
    assert models.waiting_for("big") == "waiting ..."
    assert len(found) == 1


def test_warming_up_asks_for_no_text_and_fails_in_silence() -> None:
    with daemon({"/api/generate": (500, [b"{}"])}) as (endpoint, seen):
        ChatDaemon(lambda: endpoint).warm_up("demo")
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
        assert json.loads(seen[0][2]) == {"model": "demo", "prompt": "", "stream": False}


def download(state: DownloadState, done: int, error: str | None = None) -> Download:
    return Download(
        id="d1",
        name="org/name:Q4_K_M",
        repo="org/name",
        revision="main",
        commit="c",
        label="Q4_K_M",
        state=state,
        size_bytes=100,
        done_bytes=done,
        rate_bytes_s=10.0,
        time_left_s=1.0,
        files=(FileProgress(name="f.gguf", size_bytes=100, done_bytes=done),),
        error=error,
        created_at=0,
        ended_at=None,
    )


class ScriptedDownloads:
    """Downloads that go as a test says; a cancelled one stands for Ctrl-C."""

    def __init__(self, *states: Download) -> None:
        self._states = states
        self.begun: list[str] = []
        self.paused: list[str] = []

    def begin(self, name: str) -> Download:
        self.begun.append(name)
        return download(DownloadState.QUEUED, 0)

    def follow(self, download: Download) -> Iterator[Download]:
        for state in self._states:
            if state.state is DownloadState.CANCELLED:
                raise KeyboardInterrupt
            yield state

    def pause(self, download: Download) -> Download:
        self.paused.append(download.id)
        return download


def test_a_download_into_a_log_tells_each_tenth_once(capsys: pytest.CaptureFixture[str]) -> None:
    states = [download(DownloadState.RUNNING, done) for done in (0, 5, 10, 12, 55, 58)]
    bring(ScriptedDownloads(*states, download(DownloadState.DONE, 100)), "org/name")
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split()[1] for line in told.err.splitlines()] == ["downloading", "10", "50", "100"]


def test_a_download_that_fails_or_was_paused_is_a_sentence() -> None:
    with pytest.raises(PunaError, match=r"^The disk is full\.$"):
        bring(ScriptedDownloads(download(DownloadState.FAILED, 5, "The disk is full.")), "org/name")
    with pytest.raises(PunaError, match="was paused; `puna pull org/name:Q4_K_M` goes on with it"):
        bring(ScriptedDownloads(download(DownloadState.PAUSED, 5)), "org/name")
    with pytest.raises(
        PunaError, match=r"Puna stopped\. The download of org/name:Q4_K_M goes on when it runs"
    ):
        bring(ScriptedDownloads(download(DownloadState.RUNNING, 5)), "org/name")


@pytest.mark.parametrize(
    ("stream", "term", "can"),
    [(Typed(), "xterm", True), (Typed(), "", True), (Typed(), "dumb", False), (Piped(), "xterm", False)],
)
def test_a_bar_is_drawn_where_it_can_be_drawn_again(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, term: str, can: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    assert can_redraw(stream) is can


def test_what_is_waited_for_is_told_where_it_can_be_taken_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with waiting("Asking ..."):
        assert capsys.readouterr().err == ""
    screen = Typed()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    with waiting("Asking [bold] \x1b[2J..."):
        pass
    assert "Asking [bold] \u241b[2J..." in screen.getvalue()


def test_a_download_tells_its_pace_as_far_as_it_is_known() -> None:
    running = download(DownloadState.RUNNING, 50)
    known = msgspec.structs.replace(running, rate_bytes_s=1_250_000.0, time_left_s=3_725.4)
    assert pace(known) == "1.2 MB/s 1:02:05"
    assert pace(msgspec.structs.replace(known, time_left_s=None)) == "1.2 MB/s"
    assert pace(msgspec.structs.replace(known, rate_bytes_s=None, time_left_s=None)) == ""
