"""What is typed in a chat, and what it means."""

import stat
import sys
from pathlib import Path

import msgspec
import pytest

from puna.errors import InvalidRequestError
from puna.terminal.commands import (
    HELP,
    NAMES,
    ChangeModel,
    Clear,
    Command,
    Help,
    Leave,
    Load,
    Save,
    Say,
    SetOption,
    Show,
    parse_command,
)
from puna.terminal.completion import complete_line
from puna.terminal.conversation import Conversation, Message
from puna.terminal.history import LIMIT, HistoryFile, decode_entries, encode_entry, history_file
from puna.terminal.lines import is_complete, to_message
from puna.terminal.options import OPTIONS, ChatOptions, set_option, show_option
from puna.terminal.saved import (
    decode_conversation,
    encode_conversation,
    read_conversation,
    read_format,
    write_conversation,
)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", None),
        ("  ", None),
        ("hello", Say("hello")),
        ("/usr/bin is a folder?", Say("/usr/bin is a folder?")),
        ("// a comment", Say("// a comment")),
        ("/ alone", Say("/ alone")),
        ("/set", SetOption()),
        ("/set temperature 0.5", SetOption("temperature", "0.5")),
        ("/SET Temperature  0.5 ", SetOption("temperature", "0.5")),
        ("/set system You are a pirate.", SetOption("system", "You are a pirate.")),
        ('/set system """\nOne\nTwo\n"""', SetOption("system", "One\nTwo")),
        ("/show", Show()),
        ("/save my file.json", Save("my file.json")),
        ("/load x.json", Load("x.json")),
        ("/clear", Clear()),
        ("/model", ChangeModel()),
        ("/model org/repo:Q4_K_M", ChangeModel("org/repo:Q4_K_M")),
        ("/help", Help()),
        ("/?", Help()),
        ("/bye", Leave()),
        ("/exit", Leave()),
    ],
)
def test_a_line_is_a_message_or_a_command(line: str, command: Command | None) -> None:
    assert parse_command(line) == command


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/frobnicate", "There is no command /frobnicate; /help lists them."),
        ("/save", "Type /save FILE."),
        ("/load ", "Type /load FILE."),
    ],
)
def test_what_is_no_command_is_told_with_what_to_type(line: str, words: str) -> None:
    with pytest.raises(InvalidRequestError) as failure:
        parse_command(line)
    assert words in failure.value.message


def test_the_help_lists_commands_that_are_known() -> None:
    for line in HELP:
        name = line.usage.split()[0]
        assert parse_command(line.usage.replace("NAME", "seed")) is not None
        assert name in NAMES


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("one line", "one line"),
        ("one \\\ntwo", "one \ntwo"),
        ("path C:\\\\\nnext", "path C:\\\\\nnext"),
        ('"""one\ntwo"""', "one\ntwo"),
        ('"""\n  indented\n\nlast\n"""', "  indented\n\nlast"),
        ('say """this""" twice', 'say """this""" twice'),
        ("  padded  ", "padded"),
    ],
)
def test_several_lines_are_one_message(typed: str, message: str) -> None:
    assert is_complete(typed)
    assert to_message(typed) == message


@pytest.mark.parametrize("typed", ["goes on \\", '"""', '"""open\nstill', ' """', "a\nb\\", '"""""'])
def test_enter_begins_a_further_line_while_a_message_is_open(typed: str) -> None:
    assert not is_complete(typed)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0.5", 0.5),
        ("temperature", "0", 0.0),
        ("top_k", "40", 40),
        ("max_tokens", "100", 100),
        ("seed", "-1", -1),
        ("system", " You are a pirate. ", "You are a pirate."),
        ("think", "on", True),
        ("think", "No", False),
        ("think", "HIGH", "high"),
        ("format", "JSON", "json"),
        ("format", '{"type": "object"}', '{"type": "object"}'),
        ("stop", "###", ("###",)),
        ("stop", '["a", "\\n"]', ("a", "\n")),
        ("stop", '"x, y"', ("x, y",)),
        ("markdown", "off", False),
        ("figures", "yes", True),
    ],
)
def test_options_are_set_as_they_are_typed_and_put_back(name: str, text: str, value: object) -> None:
    changed = set_option(ChatOptions(), name, text)
    assert getattr(changed, name) == value
    assert set_option(changed, name, "default") == ChatOptions()
    shown = show_option(changed, name)
    assert set_option(ChatOptions(), name, shown) == changed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "3"),
        ("temperature", "warm"),
        ("temperature", "nan"),
        ("top_p", "1.5"),
        ("max_tokens", "0"),
        ("max_tokens", "1.5"),
        ("think", "deeply"),
        ("format", "yaml"),
        ("format", "[1]"),
        ("format", "{"),
        ("format", "[" * 10_000),
        ("stop", "[1]"),
        ("stop", '["open'),
        ("markdown", "maybe"),
        ("seed", "9" * 30),
    ],
)
def test_a_wrong_value_is_told_with_what_it_may_be(name: str, text: str) -> None:
    with pytest.raises(InvalidRequestError) as failure:
        set_option(ChatOptions(), name, text)
    assert failure.value.message.startswith(f"{name} takes {OPTIONS[name].takes}, or default; not ")


def test_an_unknown_option_is_told_with_those_there_are() -> None:
    with pytest.raises(InvalidRequestError, match="There is no option warmth; there are system, temperature"):
        set_option(ChatOptions(), "warmth", "1")


def test_every_option_can_be_set_and_is_explained() -> None:
    assert set(OPTIONS) == set(ChatOptions.__struct_fields__)
    assert all(option.help and option.takes for option in OPTIONS.values())


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("/s", ["/set", "/show", "/save"]),
        ("hello", []),
        ("/set top", ["top_p", "top_k"]),
        ("/set think ", ["on", "off", "low", "medium", "high", "default"]),
        ("/set markdown o", ["on", "off"]),
        ("/set system a b", []),
        ("/model de", ["demo"]),
        ("/save x", []),
    ],
)
def test_tab_offers_what_may_stand_there(line: str, offers: list[str]) -> None:
    assert complete_line(line, lambda: ("demo", "other")) == offers


def test_tab_offers_files_for_commands_that_take_one(tmp_path: Path) -> None:
    for name in ("talk.json", "table.json", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "talks").mkdir()
    for command in ("/load", "/save", "/set format"):
        found = complete_line(f"{command} {tmp_path}/ta", lambda: ())
        assert found == [f"{tmp_path}/table.json", f"{tmp_path}/talk.json", f"{tmp_path}/talks/"]
    assert complete_line(f"/load {tmp_path}/.", lambda: ()) == [f"{tmp_path}/.hidden"]
    assert len(complete_line(f"/load {tmp_path}/", lambda: ())) == 3
    assert complete_line("/load ~nobody-here/", lambda: ()) == []
    assert complete_line("/load /nonexistent/", lambda: ()) == []
    assert complete_line("/set format js", lambda: ()) == ["json"]


def test_history_is_kept_for_this_user_only(tmp_path: Path) -> None:
    file = tmp_path / "state" / "history.jsonl"
    history = HistoryFile(file)
    assert history.read() == []
    for text in ("first", 'second\nwith "two" lines', " not kept", "", "first", "Grüße 🦙"):
        history.add(text)
    assert HistoryFile(file).read() == ['second\nwith "two" lines', "first", "Grüße 🦙"]
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_history_stays_short_and_survives_damage(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    lines = [encode_entry(f"line {number}") or b"" for number in range(3 * LIMIT)]
    file.write_bytes(b"".join(lines) + b'\xff"damaged\n{"not": "a text"}\n\n"last"\n')
    entries = HistoryFile(file).read()
    assert len(entries) == LIMIT
    assert entries[-1] == "last"
    assert file.read_bytes().count(b"\n") == LIMIT
    assert decode_entries(file.read_bytes()) == entries


def test_what_cannot_be_kept_ends_no_chat(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    history = HistoryFile(blocked / "history.jsonl")
    history.add("text")
    assert history.read() == []
    assert encode_entry("long " * 100_000) is None
    assert encode_entry("half a pair \ud800") == '"half a pair \ufffd"\n'.encode()


def test_history_lies_in_the_state_folder(home: object) -> None:
    from puna.paths import Paths

    paths = Paths.for_user()
    assert history_file(paths).parent == paths.state_dir


TALK = Conversation(
    model="demo",
    options=ChatOptions(system="Be brief.", temperature=0.5, stop=("\n\n",)),
    messages=(Message("user", "Hi"), Message("assistant", "Hello.", "They greet.")),
)


def test_a_conversation_comes_back_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    write_conversation(file, TALK)
    assert read_conversation(file, Conversation(model="other")) == TALK
    written = msgspec.json.decode(file.read_bytes())
    assert written["messages"][1] == {"role": "assistant", "content": "Hello.", "reasoning": "They greet."}
    assert written["options"] == {"system": "Be brief.", "temperature": 0.5, "stop": ["\n\n"]}
    write_conversation(file, TALK.cleared())
    assert read_conversation(file, TALK).messages == ()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b'[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]',
        b'{"model": "demo", "messages": [{"role": "developer", "content": "Be brief."},'
        b' {"role": "user", "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]}]}',
    ],
)
def test_lists_of_messages_of_other_tools_load_too(content: bytes) -> None:
    current = Conversation(model="demo", options=ChatOptions(temperature=0.5))
    loaded = decode_conversation(content, current)
    assert loaded.messages == (Message("user", "Hi"),)
    assert loaded.options == ChatOptions(system="Be brief.", temperature=0.5)
    assert loaded.model == "demo"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[1]",
        b'{"messages": 1}',
        b'[{"role": "tool", "content": "x"}]',
        b'{"puna_conversation": 1, "model": "m", "messages": [{"role": "king", "content": ""}]}',
        b'{"puna_conversation": 1, "model": "m", "options": {"format": "yaml"}}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_conversation_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(InvalidRequestError):
        read_conversation(file, TALK)
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        read_conversation(tmp_path / "none.json", TALK)


def test_saving_replaces_no_other_file(tmp_path: Path) -> None:
    file = tmp_path / "thesis.txt"
    file.write_text("years of work")
    with pytest.raises(
        InvalidRequestError, match="is there already and is no conversation; take another name"
    ):
        write_conversation(file, TALK)
    assert file.read_text() == "years of work"
    with pytest.raises(InvalidRequestError, match="cannot be written"):
        write_conversation(tmp_path / "no folder" / "x.json", TALK)
    assert encode_conversation(TALK).endswith(b"}\n")


def test_a_format_can_be_a_file_with_a_schema(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{\n  "type": "object"\n}\n')
    assert read_format(str(file)) == '{"type":"object"}'
    assert read_format("json") == "json"
    file.write_text("{")
    with pytest.raises(InvalidRequestError, match="holds no JSON schema"):
        read_format(str(file))
