"""Secrets do not reach the log, however they come."""

import pytest

from puna.redaction import conceal, redact

SECRET = "Zx81Qq77Mm55Nn33"
HUGGING_FACE = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz"
OPENAI = "sk-proj-" + "A1b2C3d4E5f6G7h8"
NGROK = "2" + "aB3cD4eF5gH6iJ7kL8mN9oP0qR" + "_" + "1sT2uV3wX4yZ5aB6cD7eF"

ATTACKS = [
    f"Authorization: Bearer {SECRET}",
    f"authorization:bearer {SECRET}",
    f"aUtHoRiZaTiOn:\tBEARER\t{SECRET}",
    f"Authorization: Basic {SECRET}",
    f"Authorization: {SECRET}",
    f"Authorization:\r\n Bearer\r\n {SECRET}",
    f"Proxy-Authorization: Digest {SECRET}",
    f"{{'Authorization': 'Bearer {SECRET}'}}",
    f'{{"authorization":"Bearer {SECRET}"}}',
    f'{{\\"authorization\\": \\"Bearer {SECRET}\\"}}',
    f"(b'Authorization', b'Bearer {SECRET}')",
    f"('X-Api-Key', '{SECRET}')",
    f"X-API-Key: {SECRET}",
    f"GET /chat?api_key={SECRET}&x=1",
    f"GET /chat?access_token={SECRET}",
    f"GET /chat?api_key%3D{SECRET}",
    f"header=Bearer%20{SECRET}",
    f"curl -H 'Authorization: Bearer {SECRET}' http://localhost",
    f"--authtoken={SECRET}",
    f"ngrok authtoken: {SECRET}",
    f"password = '{SECRET}'",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_a_secret_with_a_name_is_hidden(text: str) -> None:
    redacted = redact(text)
    assert SECRET not in redacted
    assert SECRET[4:] not in redacted
    assert "[hidden]" in redacted


@pytest.mark.parametrize("secret", [HUGGING_FACE, OPENAI, NGROK, "puna_" + SECRET, "whsec_" + SECRET])
@pytest.mark.parametrize("frame", ["{}", "key {} was refused", "/path/{}/x", "a%20{}", "x={};y", "('{}',)"])
def test_a_secret_with_a_form_is_hidden_wherever_it_stands(secret: str, frame: str) -> None:
    redacted = redact(frame.format(secret))
    assert secret not in redacted
    assert secret[-10:] not in redacted
    assert redacted == frame.format("[hidden]") or "[hidden]" in redacted


def test_several_secrets_in_one_line_are_all_hidden() -> None:
    assert redact(f"{HUGGING_FACE} {OPENAI} Bearer {SECRET}") == "[hidden] [hidden] Bearer [hidden]"


def test_a_known_secret_without_a_form_is_hidden() -> None:
    conceal("plain-admin-words")
    assert redact("it is plain-admin-words, twice: plain-admin-words") == "it is [hidden], twice: [hidden]"


def test_a_short_text_is_not_taken_for_a_known_secret() -> None:
    conceal("a")
    assert redact("banana") == "banana"


ORDINARY = [
    "POST /chat locallab 200 0.532s 12+34 tokens",
    "puna-worker-1 started with task-scheduler and risk-assessment-of-everything",
    "The bearer of this message",
    "unknown key: temperature",
    "prompt_tokens=12345678, completion_tokens=87654321",
    "/models/qwen2.5-7b-instruct-q4_k_m.gguf has 28 layers",
    "llama_model_loader: - kv 12: tokenizer.ggml.tokens arr[str,4096]",
    "hf_hub is not installed",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_a_long_hostile_line_comes_to_an_end() -> None:
    assert redact("bearer " * 2000 + "authorization=" * 2000).count("[hidden]") >= 1


def test_a_line_that_only_begins_to_name_a_secret_takes_no_time_that_grows_faster_than_it() -> None:
    line = "x-puna-" * 30_000  # minutes, where each beginning is followed to the end of the line
    assert redact(line) == line
