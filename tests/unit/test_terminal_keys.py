"""Keys at the chat's prompt, through the real editor; the options of `puna run`; what a shell tells at Tab."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

import puna.instance
import puna.terminal.daemon
from puna.cli.model_names import complete_adapter, complete_model
from puna.cli.run import parse_options
from puna.cli.shell_words import ShellWords, without_cut, words_in
from puna.errors import ModelNotFoundError
from puna.paths import Paths
from puna.terminal.editor import LineEditor
from puna.terminal.history import HistoryFile
from puna.terminal.models import to_model_name
from puna.terminal.options import ChatOptions
from unit.conftest import Run

Read = Callable[..., list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Type keys into an editor; return so many entries."""

    def type_keys(keys: str, count: int = 1) -> list[str]:
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            editor = LineEditor(HistoryFile(tmp_path / "history"), lambda _: ("/set", "/show"))
            pipe.send_bytes(keys.encode("utf-8", "surrogateescape"))
            return [editor.read() for _ in range(count)]

    return type_keys


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("hello\r", "hello"),
        ("one\x1b\rtwo\r", "one\ntwo"),
        ("one\\\rtwo\r", "one\\\ntwo"),
        ('"""one\rtwo\r"""\r', '"""one\ntwo\n"""'),
        ("\x1b[200~pasted\rlines\x1b[201~\r", "pasted\nlines"),
        ("wrong\x15right\r", "right"),
    ],
)
def test_keys_make_lines(read: Read, keys: str, text: str) -> None:
    assert read(keys) == [text]


def test_bytes_that_are_no_text_are_replaced(read: Read) -> None:
    assert read("a\udcffb\r") == ["a\ufffdb"]


def test_the_arrow_brings_back_what_was_typed_in_this_chat_and_earlier_ones(read: Read) -> None:
    assert read("first\rsecond\r", 2) == ["first", "second"]
    assert read("\x1b[A\x1b[A\r") == ["first"]
    assert read("\x1b[A\r") == ["first"]


def test_ctrl_d_ends_and_ctrl_c_interrupts(read: Read) -> None:
    with pytest.raises(EOFError):
        read("\x04")
    with pytest.raises(KeyboardInterrupt):
        read("half a line\x03")


def test_options_come_from_the_command_line() -> None:
    options = parse_options(["temperature=0.5", "stop=a=b", "think=off"])
    assert options == ChatOptions(temperature=0.5, stop=("a=b",), think=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [("temperature", "NAME=VALUE"), ("temperature=hot", "a number from 0 to 2"), ("x=1", "no option x")],
)
def test_a_wrong_option_is_wrong_use(text: str, words: str) -> None:
    with pytest.raises(typer.BadParameter) as failure:
        parse_options([text])
    assert words in failure.value.message


def test_a_file_here_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.GGUF").touch()
    assert to_model_name("model.GGUF") == str(tmp_path / "model.GGUF")
    assert to_model_name("other.gguf") == "other.gguf"
    assert to_model_name("demo") == "demo"
    assert to_model_name("org/repo/blob/main/model.gguf") == "org/repo/blob/main/model.gguf"


@pytest.mark.parametrize("path", ["./other.gguf", "../other.gguf", "/nonexistent/other.gguf", "~/other.gguf"])
def test_a_path_without_a_file_is_no_name_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match=r"There is no file .*other\.gguf; `puna ls` shows"):
        to_model_name(path)


def bash(*words: str, cursor: int | None = None) -> ShellWords:
    cursor = len(words) - 1 if cursor is None else cursor
    return words_in(
        {"_PUNA_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(cursor)}
    )


def test_words_that_bash_broke_at_colons_are_put_together() -> None:
    line = bash("puna", "run", "llama3.2", ":", "1")
    assert (line.words, line.cut, line.command) == (("puna", "run", "llama3.2:1"), "llama3.2:", "run")
    assert line.environ == {"COMP_WORDS": "puna\nrun\nllama3.2:1", "COMP_CWORD": "2"}
    assert bash("puna", "run", "org/repo", ":").words == ("puna", "run", "org/repo:")
    assert bash("puna", "run", "a", ":", "b", "").words == ("puna", "run", "a:b", "")
    assert bash("puna", "run", "de", "later", cursor=2).words == ("puna", "run", "de")
    assert bash("puna", cursor=1).words == ("puna", "")
    assert bash("puna", "run", "it's").environ["COMP_WORDS"] == "puna\nrun\n'it'\"'\"'s'"
    assert without_cut("llama3.2:1b\nllama3.2:3b", "llama3.2:") == "1b\n3b"


def test_other_shells_tell_the_line_as_it_is() -> None:
    line = words_in({"_PUNA_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "puna run llama3.2:1"})
    assert (line.command, line.cut, line.environ) == ("run", "", {})
    assert words_in({"_PUNA_COMPLETE": "complete_fish"}).command == ""


def test_without_a_daemon_no_model_is_offered_and_nothing_is_said(
    home: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complete_model("") == []
    home.endpoint_file.parent.mkdir(parents=True)
    home.endpoint_file.write_text("damaged")
    assert complete_model("") == []
    assert capsys.readouterr() == ("", "")


def test_what_a_shell_would_carry_out_is_not_offered(home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ["org/Repo-1.5_x:Q4_K_M", "ft_model_0123456789ab", "模型", "a+b@c"]
    traps = [
        "x$(reboot)",
        "x`reboot`",
        "x;reboot",
        "x y",
        "x'y",
        'x"y',
        "x|y",
        "x\\y",
        "x\ny",
        "x*",
        "~x",
        "!x",
        "x&",
    ]
    monkeypatch.setattr(puna.instance, "read_endpoint", lambda _: object())
    monkeypatch.setattr(puna.terminal.daemon, "list_models", lambda *_: (*plain, *traps))
    assert complete_model("") == plain
    assert complete_adapter("ft") == ["ft_model_0123456789ab"]


def test_the_help_shows_how_to_chat_and_to_pipe(puna: Run) -> None:
    shown = puna("run", "--help").out
    assert 'puna run demo "Summarise this:" < report.txt' in shown
    assert "--set" in shown
    assert "puna completion bash > " in puna("completion", "--help").out


def test_other_commands_load_neither_the_editor_nor_the_chat() -> None:
    program = (
        "import sys; from puna.__main__ import main; main(['--version']); main(['status', '--json']);"
        "light = ('puna.terminal', 'puna.terminal.safe_text');"
        "heavy = ('prompt_toolkit', 'puna.terminal', 'markdown_it', 'rich');"
        "print([name for name in sys.modules if name.startswith(heavy) and name not in light])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_the_chat_loads_the_editor_only_when_it_is_one() -> None:
    program = (
        "import sys, puna.cli.run; print('prompt_toolkit' in sys.modules, 'rich.markdown' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "False False\n"
