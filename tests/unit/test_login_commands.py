"""`puna login` and `puna logout`: the token in Puna's secret file."""

import getpass
import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from fakes.pseudo_terminal import CTRL_C, CTRL_D, ENTER, PseudoTerminal
from puna.hub.token import TokenSource
from puna.paths import Paths
from unit.conftest import Run

TOKEN = "hf_0123456789abcdefABCDEF"


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Paths) -> Path:
    """Return the Hub's own token file, which is not there; the environment has no token."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "token"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> "type[io.StringIO]":
    """Have the next command read this from a pipe."""

    class Pipe(io.StringIO):
        def __init__(self, text: str) -> None:
            super().__init__(text)
            monkeypatch.setattr(sys, "stdin", self)

    return Pipe


def read(home: Paths) -> str | None:
    return TokenSource(Path("/nonexistent/token"), home.secrets_file, {}).read()


def test_a_token_from_a_pipe_is_kept_for_this_user_alone(
    puna: Run, home: Paths, pipe: type[io.StringIO]
) -> None:
    pipe(f"{TOKEN}\n")
    ended = puna("login")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"The token is kept in {home.secrets_file}; `puna logout` removes it.\n"
    assert read(home) == TOKEN
    if sys.platform != "win32":
        assert stat.S_IMODE(home.secrets_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.state_dir.stat().st_mode) == 0o700


def test_what_others_keep_in_the_file_stays(puna: Run, home: Paths, pipe: type[io.StringIO]) -> None:
    home.state_dir.mkdir(parents=True)
    home.secrets_file.write_text('{"remote_keys": {"big": "k"}, "hugging_face_token": "old"}')
    pipe(TOKEN)
    assert puna("login").code == 0
    assert json.loads(home.secrets_file.read_bytes()) == {
        "remote_keys": {"big": "k"},
        "hugging_face_token": TOKEN,
    }
    assert puna("logout").out == f"The token is removed from {home.secrets_file}.\n"
    assert json.loads(home.secrets_file.read_bytes()) == {"remote_keys": {"big": "k"}}
    assert puna("logout").out == "Puna has kept no token.\n"


def test_nothing_is_left_of_a_token_alone(puna: Run, home: Paths, pipe: type[io.StringIO]) -> None:
    pipe(TOKEN)
    puna("login")
    assert puna("logout").code == 0
    assert list(home.state_dir.iterdir()) == []


@pytest.mark.parametrize("given", ["", "\n", "two words", "hf_\u00e9", "hf_\x1b[2J", "a\nb", "h" * 1001])
def test_what_can_be_no_token_changes_nothing(
    puna: Run, home: Paths, pipe: type[io.StringIO], given: str
) -> None:
    pipe(given)
    ended = puna("login")
    assert ended.code == 1
    assert "That is no token" in ended.err
    assert "https://huggingface.co/settings/tokens" in ended.err
    assert not home.secrets_file.exists()


def test_a_damaged_file_is_not_replaced(puna: Run, home: Paths, pipe: type[io.StringIO]) -> None:
    home.state_dir.mkdir(parents=True)
    home.secrets_file.write_text("{")
    pipe(TOKEN)
    for command in ("login", "logout"):
        ended = puna(command)
        assert (ended.code, "is damaged" in ended.err, TOKEN in ended.err) == (1, True, False)
    assert home.secrets_file.read_text() == "{"


def test_a_token_that_comes_before_is_told(
    puna: Run, pipe: type[io.StringIO], hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.parent.mkdir()
    hub.write_text("hf_of-the-hub")
    monkeypatch.setenv("HF_TOKEN", "hf_of-the-environment")
    pipe(TOKEN)
    told = puna("login").err.splitlines()
    assert told == [
        "puna: The environment (HF_TOKEN) has a token too, which is used before this one; remove it there.",
        f"puna: {hub}, which `hf auth login` writes, has a token too, which is used before this one; "
        "remove it there.",
    ]
    left = puna("logout").err
    assert left.count("still has a token, which is used.") == 2
    assert "hf_of" not in left


def test_the_page_is_that_of_the_hub_in_the_settings(
    puna: Run, pipe: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUNA_HUB_ENDPOINT", "https://hub.example.org/")
    pipe("")
    assert "https://hub.example.org/settings/tokens" in puna("login").err


def test_a_terminal_is_asked_without_showing_it(
    puna: Run, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return f" {TOKEN} "

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", answer)
    shown = puna("login").out
    assert "made at https://huggingface.co/settings/tokens" in shown
    assert len(asked) == 1
    assert TOKEN not in shown
    assert read(home) == TOKEN


@pytest.mark.skipif(sys.platform == "win32", reason="its pseudo-terminals are of another kind")
@pytest.mark.parametrize(("keys", "code"), [(TOKEN + ENTER, 0), (CTRL_C, 130), (CTRL_D, 1), (ENTER, 1)])
def test_keys_at_the_question_are_not_shown(home: Paths, keys: str, code: int) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "daemon")}
    with PseudoTerminal([sys.executable, "-P", "-m", "puna", "login"], environ) as terminal:
        terminal.wait_for("Token (it is not shown):")
        terminal.type(keys)
        assert terminal.wait_for_end() == code
        assert TOKEN not in terminal.text
        assert "Traceback" not in terminal.text
        assert "Unexpected" not in terminal.text
    assert (read(home) == TOKEN) is (code == 0)
