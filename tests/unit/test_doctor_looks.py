"""How `puna doctor` looks: at the disk, at a Hub of this machine, at tokens, and with a time limit."""

import asyncio
import http.server
import os
import socket
import ssl
import sys
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from puna.config import Settings
from puna.doctor.configuration import look_at_settings
from puna.doctor.daemon import find_port_error
from puna.doctor.examination import Examination
from puna.doctor.finding import Section, Verdict
from puna.doctor.hub import _describe, look_at_hub
from puna.doctor.models import look_at_models
from puna.doctor.patience import run_bounded
from puna.doctor.places import find_open_files, look_at_disks, look_at_place
from puna.doctor.tokens import judge_tokens, look_at_tokens
from puna.domain.hardware import LlamaBuild
from puna.errors import EngineUnusableError
from puna.files import write_private
from puna.paths import Paths

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="access is by lists there, not by modes")


async def test_what_a_look_returns_or_raises_comes_back() -> None:
    assert await run_bounded(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await run_bounded(lambda: 1 // 0)


async def test_a_look_that_hangs_is_left_alone() -> None:
    may_end = threading.Event()
    with pytest.raises(TimeoutError):
        await run_bounded(may_end.wait, 0.05)
    may_end.set()
    assert not [thread for thread in threading.enumerate() if thread.name == "look" and not thread.daemon]


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names, and remembers the headers."""

    seen: list[dict[str, str]]

    def do_HEAD(self) -> None:
        self.seen.append(dict(self.headers))
        self.send_response(int(self.path.strip("/") or 200))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def seen() -> list[dict[str, str]]:
    return []


@pytest.fixture
def hub(seen: list[dict[str, str]]) -> Iterator[str]:
    handler = type("Remembering", (Answer,), {"seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("path", ["", "/404", "/401"])
async def test_every_answer_of_the_hub_s_own_will_do(hub: str, path: str) -> None:
    state = await look_at_hub(hub + path, is_offline=False, timeout_s=60)
    assert state.error is None
    assert state.answered_in_s is not None
    assert state.host.startswith("127.0.0.1:")


async def test_a_hub_in_trouble_is_told(hub: str) -> None:
    assert (
        await look_at_hub(hub + "/503", is_offline=False, timeout_s=60)
    ).error == "it answers with status 503"


async def test_the_hub_gets_no_token(
    hub: str, seen: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_this_test")
    await look_at_hub(hub, is_offline=False, timeout_s=60)
    assert len(seen) == 1
    assert "hf_secret" not in str(seen)


async def test_offline_nobody_is_asked(hub: str, seen: list[dict[str, str]]) -> None:
    assert (await look_at_hub(hub, is_offline=True)).is_offline
    assert seen == []


async def test_a_hub_that_refuses_or_says_nothing_is_told_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        state = await look_at_hub(f"http://127.0.0.1:{port}", is_offline=False, timeout_s=0.2)
        assert state.error in ("no answer in time", "no answer within 0 s", "no answer within 0.2 s")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        state = await look_at_hub(f"http://127.0.0.1:{port}", is_offline=False, timeout_s=60)
    assert state.error == "the connection was refused"


async def test_an_address_that_is_none_is_told_without_what_may_be_secret_in_it() -> None:
    state = await look_at_hub("ftp://user:password@h:1/x", is_offline=False, timeout_s=60)
    assert state.host == "h:1"
    assert state.error == "its address begins neither with http:// nor with https://"
    assert "password" not in str(
        await look_at_hub("http://user:password@[::1", is_offline=False, timeout_s=60)
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (urllib.error.URLError(socket.gaierror(-2, "x")), "its name is not known: no network, or no name server"),
        (urllib.error.URLError(ssl.SSLCertVerificationError("x")),
         "its certificate is not trusted here; a proxy may read along"),
        (urllib.error.URLError(OSError(101, "Network is unreachable")), "Network is unreachable"),
        (ValueError("http://user:password@proxy"), "ValueError"),
    ],
)  # fmt: skip
def test_what_keeps_from_the_hub_is_told_in_words(error: Exception, text: str) -> None:
    assert _describe(error) == text


def test_a_token_is_told_by_its_place_alone(tmp_path: Path) -> None:
    token_file, secrets_file = tmp_path / "token", tmp_path / "secrets.json"
    nothing = look_at_tokens(token_file, secrets_file, {})
    assert (nothing.hugging_face, nothing.ngrok) == (None, None)
    write_private(secrets_file, msgspec.json.encode({"hugging_face_token": "hf_s", "ngrok_token": "ng_s"}))
    kept = look_at_tokens(token_file, secrets_file, {})
    assert (kept.hugging_face, kept.ngrok) == (str(secrets_file), str(secrets_file))
    token_file.write_text("hf_f\n")
    assert look_at_tokens(token_file, secrets_file, {}).hugging_face == str(token_file)
    environ = {"HF_TOKEN": "hf_e", "NGROK_AUTHTOKEN": "ng_e"}
    told = look_at_tokens(token_file, secrets_file, environ)
    assert (told.hugging_face, told.ngrok) == ("the environment", "the environment")
    for found in (kept, told):
        assert not {"hf_s", "ng_s", "hf_f", "hf_e", "ng_e"} & set(str(found).replace("'", " ").split())


def test_a_damaged_secret_file_has_no_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    damaged = tmp_path / "secrets.json"
    damaged.write_bytes(b"\xff{")
    seen = look_at_tokens(tmp_path / "token", damaged, {})
    assert (seen.hugging_face, seen.damaged_file) == (None, damaged)
    [*_, told] = judge_tokens(seen)
    assert (told.subject, told.verdict) == ("secrets", Verdict.WARNING)
    assert f"{damaged} is damaged" in told.text
    damaged.unlink()
    assert look_at_tokens(tmp_path / "token", damaged, {}).damaged_file is None


def test_a_folder_is_tried_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    there = look_at_place("state", tmp_path)
    assert (there.exists, there.error) == (True, None)
    missing = look_at_place("logs", tmp_path / "a" / "b")
    assert (missing.exists, missing.error) == (False, None)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert look_at_place("state", tmp_path / "file" / "state").error is not None


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="this user may write everywhere")
def test_a_folder_of_others_cannot_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert look_at_place("state", tmp_path).error == "Permission denied"
    tmp_path.chmod(0o700)


def test_a_disk_behind_several_folders_is_told_once(tmp_path: Path) -> None:
    [disk] = look_at_disks([tmp_path, tmp_path / "state"], tmp_path / "hub")
    assert disk.takes_models
    assert 0 < disk.free_bytes <= disk.total_bytes


@posix_only
def test_files_that_others_may_read_are_found(tmp_path: Path) -> None:
    write_private(tmp_path / "mine", b"")
    (tmp_path / "ours").write_text("")
    (tmp_path / "ours").chmod(0o640)
    files = [tmp_path / name for name in ("mine", "ours", "missing")]
    assert find_open_files(files) == [tmp_path / "ours"]


def test_a_port_that_is_taken_is_found_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port: int = holder.getsockname()[1]
        error = find_port_error("127.0.0.1", port)
        assert error is not None
        assert error.startswith(f"Port {port} on 127.0.0.1 is taken by ")
    assert find_port_error("127.0.0.1", 0) is None


def test_settings_that_are_wrong_leave_the_defaults_to_look_on_with(tmp_path: Path) -> None:
    file = tmp_path / "puna.toml"
    file.write_text("port = 'x'\n")
    found = look_at_settings(file, {})
    assert found.settings == Settings()
    assert found.error is not None
    assert "port must be a whole number" in found.error
    changed = look_at_settings(tmp_path / "missing", {"PUNA_PORT": "8080"})
    assert (changed.error, changed.changed) == (None, ("port",))


def test_models_are_looked_through_as_the_daemon_does(tmp_path: Path) -> None:
    paths, folder = Paths.under(tmp_path / "home"), tmp_path / "models"
    folder.mkdir()
    (folder / "good.gguf").write_bytes(paths.demo_model.read_bytes())
    (folder / "bad.gguf").write_bytes(b"GGUF")
    settings = Settings(model_folders=(folder, tmp_path / "gone"), model="good")
    shelf = look_at_models(settings, paths, tmp_path / "hub")
    assert [entry.id for entry in shelf.overview.models] == ["demo", "good"]
    assert [file.id for file in shelf.overview.unusable] == ["bad"]
    assert (shelf.missing, shelf.default_error) == ((tmp_path / "gone",), None)
    assert look_at_models(Settings(model="nope"), paths, tmp_path / "hub").default_error is not None


def test_a_damaged_state_file_is_left_where_it_is(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path)
    paths.state_dir.mkdir(parents=True)
    paths.state_file.write_text("{")
    assert look_at_models(Settings(), paths, tmp_path / "hub").is_state_damaged
    assert [file.name for file in paths.state_dir.iterdir()] == ["state.json"]


async def refuse() -> LlamaBuild:
    raise EngineUnusableError("llama.cpp cannot be loaded (exit code 1; its last words: OSError: no CUDA).")


async def break_down() -> LlamaBuild:
    raise RuntimeError("a mistake of ours")


ENVIRON = {"HF_HUB_OFFLINE": "1"}


def test_a_drive_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert look_at_place("Hub cache", tmp_path / "hub").error == "there is no such drive"
    assert look_at_disks([tmp_path], tmp_path / "hub") == []


async def test_an_installation_without_a_sound_llama_cpp_is_still_looked_through(tmp_path: Path) -> None:
    examination = Examination(Paths.under(tmp_path), ENVIRON, look_at_llama=refuse)
    report = await examination.run()
    problems = [finding for finding in report.findings if finding.verdict is Verdict.PROBLEM]
    assert problems[0].text.startswith("llama.cpp cannot be loaded (exit code 1")
    assert {finding.section for finding in report.findings} == set(Section)
    assert report.to_do[0].startswith("Install it anew: pip install ")
    assert report.hardware is not None
    assert report.hardware.llama is None


async def test_a_look_that_breaks_is_one_finding_among_the_others(tmp_path: Path) -> None:
    report = await Examination(Paths.under(tmp_path), ENVIRON, look_at_llama=break_down).run()
    [broken] = [finding for finding in report.findings if finding.subject == "look"]
    assert broken.text == "could not be looked at (RuntimeError: a mistake of ours)"
    assert {finding.section for finding in report.findings} >= {
        Section.FILES,
        Section.NETWORK,
        Section.DAEMON,
    }


@pytest.mark.skipif(sys.platform == "win32", reason="modes say nothing there")
async def test_an_endpoint_file_of_others_is_told_with_what_to_do(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path)
    paths.run_dir.mkdir(parents=True)
    paths.endpoint_file.write_text("{}")
    paths.endpoint_file.chmod(0o666)
    report = await Examination(paths, ENVIRON, look_at_llama=refuse).run()
    [told] = [finding for finding in report.findings if finding.subject == "look"]
    assert told.text == f"{paths.endpoint_file} can be written by other users, so it is not trusted"
    assert told.advice is not None
    assert told.advice.startswith("Remove it and start Puna again")


def test_nothing_is_changed_by_looking(tmp_path: Path) -> None:
    asyncio.run(Examination(Paths.under(tmp_path / "home"), ENVIRON, look_at_llama=refuse).run())
    assert list(tmp_path.iterdir()) == []
