"""The Hub's token: where it comes from, and who sees it."""

from pathlib import Path

import pytest

from puna.hub.token import TokenSource, headers_for
from puna.redaction import redact

HUB = "https://huggingface.co"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "token", tmp_path / "secrets.json"


def test_the_environment_wins_over_the_hubs_file_and_that_over_punas(files: tuple[Path, Path]) -> None:
    token_file, secrets_file = files
    secrets_file.write_text('{"hugging_face_token": "hf_of-puna", "ngrok_authtoken": "other"}')
    assert TokenSource(*files, {}).read() == "hf_of-puna"
    token_file.write_text("hf_of-the-hub\n")
    assert TokenSource(*files, {}).read() == "hf_of-the-hub"
    assert TokenSource(*files, {"HF_TOKEN": " hf_of-the-environment\n"}).read() == "hf_of-the-environment"


@pytest.mark.parametrize("content", ["", "  \n", "two words", "nonsense\x01", "tökén"])
def test_what_can_be_no_token_is_none(files: tuple[Path, Path], content: str) -> None:
    files[0].write_text(content)
    assert TokenSource(*files, {}).read() is None


def test_a_broken_secret_file_is_told_without_its_content(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    files[1].write_text('{"hugging_face_token": 5')
    assert TokenSource(*files, {}).read() is None
    assert "secrets.json cannot be read" in caplog.text


def test_a_secret_file_with_many_keys_is_read_to_its_end(files: tuple[Path, Path]) -> None:
    keys = ", ".join(f'"far-{number}": "sk-{number:060d}"' for number in range(500))
    files[1].write_text(f'{{"remote_keys": {{{keys}}}, "hugging_face_token": "hf_last"}}')
    assert TokenSource(*files, {}).read() == "hf_last"


def test_a_token_is_kept_out_of_the_log(files: tuple[Path, Path]) -> None:
    TokenSource(*files, {"HF_TOKEN": "unusual-form-of-token"}).read()
    assert "unusual" not in redact("it was unusual-form-of-token")


@pytest.mark.parametrize(
    "url",
    [
        "http://huggingface.co/x",
        "https://cdn.huggingface.co/x",
        "https://huggingface.co.evil.example/x",
        "https://huggingface.co:8443/x",
        "https://evil.example/?huggingface.co",
        "https://huggingface.co@evil.example/x",
    ],
)
def test_other_origins_get_no_token(url: str) -> None:
    assert headers_for(url, HUB, "hf_secret") == {}


def test_the_hub_gets_the_token() -> None:
    assert headers_for("https://HUGGINGFACE.co:443/a/b", HUB, "hf_secret") == {
        "Authorization": "Bearer hf_secret"
    }
    assert headers_for("https://huggingface.co/a", HUB, None) == {}
