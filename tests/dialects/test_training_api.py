"""Datasets, fine-tunings and adapters over the control API; the trainings themselves are in tests/process."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fakes.running_daemon import ADMIN_TOKEN, RunningDaemon, run_daemon, until
from puna.api.control import datasets
from puna.config import Settings
from puna.domain.datasets import SampleKind
from puna.domain.finetune import AdapterRecord
from puna.domain.training import TrainingSettings
from puna.finetune.datasets.upload import Upload
from puna.keys.identity import Scope

CSV = "text,label\n" + "".join(f"text {i},{'red' if i % 2 else 'blue'}\n" for i in range(20))
ADAPTER = "ft_model_0123456789ab"


def admin(daemon: RunningDaemon) -> aiohttp.ClientSession:
    return daemon.client(Authorization=f"Bearer {ADMIN_TOKEN}")


async def ask(daemon: RunningDaemon, method: str, path: str, status: int = 200, **how: Any) -> Any:
    async with admin(daemon) as client, client.request(method, f"/puna/v1/{path}", **how) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


def upload(content: bytes, name: str = "colours.csv", **fields: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for field, value in fields.items():
        form.add_field(field, value)
    form.add_field("file", content, filename=name, content_type="text/csv")
    return form


async def add_adapter(daemon: RunningDaemon) -> AdapterRecord:
    shelf = daemon.services.adapters
    (await shelf.prepare(ADAPTER)).write_bytes(b"GGUF and so on")
    record = AdapterRecord(
        id=ADAPTER,
        name="colours",
        base_id="demo",
        base_sha256="0" * 64,
        base_architecture="llama",
        dataset_id="ds_x",
        dataset_sha256="1" * 64,
        kind=SampleKind.LABELLED,
        settings=TrainingSettings(),
        steps=1,
        loss=0.5,
        before=None,
        after=None,
        seconds=1.0,
        size_bytes=14,
        created_at=1,
    )
    await shelf.add(record)
    return record


async def test_an_upload_is_kept_once_and_told_with_its_report(daemon: RunningDaemon) -> None:
    added = await ask(daemon, "POST", "datasets", data=upload(CSV.encode()))
    assert added["name"] == "colours.csv"
    assert added["report"]["samples"] == 20
    assert added["report"]["labels"] == [{"label": "blue", "count": 10}, {"label": "red", "count": 10}]
    again = await ask(daemon, "POST", "datasets", data=upload(CSV.encode(), "other.csv"))
    assert again == added
    assert (await ask(daemon, "GET", "datasets"))["datasets"] == [added]
    assert await ask(daemon, "GET", f"datasets/{added['id']}") == added
    assert await ask(daemon, "DELETE", f"datasets/{added['id']}") == added
    await ask(daemon, "GET", f"datasets/{added['id']}", 404)


async def test_a_dataset_can_come_by_its_path_or_inline(daemon: RunningDaemon, tmp_path: Path) -> None:
    file = tmp_path / "colours.csv"
    file.write_text(CSV)
    by_path = await ask(daemon, "POST", "datasets", json={"path": str(file)})
    inline = await ask(daemon, "POST", "datasets", json={"content": CSV, "format": "csv"})
    assert by_path["id"] == inline["id"]
    texts = await ask(daemon, "POST", "datasets", json={"texts": ["Once upon\na time", "there was"]})
    assert (texts["report"]["kind"], texts["report"]["samples"]) == ("plain_text", 2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Give one of `path`"),
        ({"path": "/a", "content": "b"}, "Give one of `path`"),
        ({"path": "a.csv"}, "`path` must be absolute"),
        ({"path": "/nowhere/a.csv"}, "The file a.csv cannot be read"),
        ({"content": "a", "format": "xls"}, "`format` must be one of csv, jsonl, text"),
    ],
)
async def test_what_is_no_dataset_is_refused(daemon: RunningDaemon, body: Any, message: str) -> None:
    refused = await ask(daemon, "POST", "datasets", 400, json=body)
    assert message in refused["detail"]


async def test_a_faulty_dataset_is_refused_with_the_whole_report(daemon: RunningDaemon) -> None:
    faulty = b"text,label\nsome text,\nmore text,red\n"
    refused = await ask(daemon, "POST", "datasets", 400, data=upload(faulty))
    assert "row 2" in refused["detail"].lower()
    assert [error["code"] for error in refused["report"]["errors"]] == ["missing_label"]
    folder = daemon.services.paths.dataset_dir
    assert not list(folder.iterdir()), "nothing was kept"


async def test_an_upload_without_a_file_or_cut_short_leaves_nothing(daemon: RunningDaemon) -> None:
    form = aiohttp.FormData({"format": "csv"}, default_to_multipart=True)
    assert "no field `file`" in (await ask(daemon, "POST", "datasets", 400, data=form))["detail"]
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    cut = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\ntext,label\r\na,b'
    await ask(daemon, "POST", "datasets", 400, data=cut, headers=headers)
    assert not list(daemon.services.paths.dataset_dir.iterdir())


async def test_a_client_that_leaves_while_an_upload_is_begun_leaves_nothing(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk, the file may be made after the client has left."""
    store, folder = daemon.services.datasets, daemon.services.paths.dataset_dir
    is_beginning, may_begin, has_begun = threading.Event(), threading.Event(), threading.Event()
    begin = store.begin

    def begin_slowly(**how: Any) -> Upload:
        is_beginning.set()
        assert may_begin.wait(60)
        begun = begin(**how)
        has_begun.set()
        return begun

    monkeypatch.setattr(store, "begin", begin_slowly)
    leaving = asyncio.create_task(ask(daemon, "POST", "datasets", data=upload(CSV.encode())))
    assert await asyncio.to_thread(is_beginning.wait, 60)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    activity = daemon.services.activity
    await until(lambda: not activity.open_requests or any(task.cancelling() for task in asyncio.all_tasks()))
    may_begin.set()
    assert await asyncio.to_thread(has_begun.wait, 60)
    await until(lambda: not activity.open_requests)
    assert not list(folder.iterdir())


FILE = b'Content-Disposition: form-data; name="file"; filename="a.csv"'
FORMAT = b'Content-Disposition: form-data; name="format"'


def form_of(*fields: tuple[bytes, bytes], boundary: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a body with these headers and contents as they are, and its content type."""
    parts = [b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary, head, content) for head, content in fields]
    return b"".join(parts) + b"--%b--\r\n" % boundary, {
        "Content-Type": f"multipart/form-data; boundary={boundary.decode()}"
    }


@pytest.mark.parametrize(
    "fields",
    [
        ((FILE + b"\r\nX: " + b"y" * 200_000, CSV.encode()),),
        ((FILE + b"".join(b"\r\nX%d: y" % number for number in range(500)), CSV.encode()),),
        ((FILE.replace(b"a.csv", b"a\0b.csv"), CSV.encode()),),
        ((b'Content-Disposition: form-data; name="_charset_"', b"c" * 100), (FILE, CSV.encode())),
        ((FORMAT, b"csv" * 10_000), (FILE, CSV.encode())),
        ((FILE + b"\r\nContent-Type: multipart/mixed", CSV.encode()),),
    ],
    ids=["long header", "many headers", "control character", "long charset", "long format", "form in a form"],
)
async def test_a_form_that_no_sender_should_send_is_a_400(
    daemon: RunningDaemon, fields: tuple[tuple[bytes, bytes], ...]
) -> None:
    body, headers = form_of(*fields, boundary=b"x")
    await ask(daemon, "POST", "datasets", 400, data=body, headers=headers)
    assert not list(daemon.services.paths.dataset_dir.iterdir())


async def test_the_format_is_understood_behind_the_longest_boundary(daemon: RunningDaemon) -> None:
    body, headers = form_of((FORMAT, b"csv"), (FILE, CSV.encode()), boundary=b"b" * 70)
    added = await ask(daemon, "POST", "datasets", data=body, headers=headers)
    assert added["format"] == "csv"


async def test_a_form_that_stops_in_its_format_is_given_up(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "BODY_STALL_S", 0.2)

    async def stall() -> AsyncIterator[bytes]:
        yield b"--x\r\n" + FORMAT + b"\r\n\r\ncs"
        await asyncio.Event().wait()

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    async with asyncio.timeout(60):
        refused = await ask(daemon, "POST", "datasets", 400, data=stall(), headers=headers)
    assert refused["detail"] == "The upload did not arrive in time."


async def test_the_format_can_be_stated_before_the_file(daemon: RunningDaemon) -> None:
    added = await ask(daemon, "POST", "datasets", data=upload(CSV.encode(), "unnamed", format="csv"))
    assert added["format"] == "csv"
    refused = await ask(daemon, "POST", "datasets", 400, data=upload(CSV.encode(), format="xls"))
    assert refused["detail"].startswith("`format` must be one of")


async def test_settings_bound_datasets(tmp_path: Path) -> None:
    settings = Settings(rate_limits="off", dataset_bytes=2000, dataset_rows=10)
    async with run_daemon(tmp_path, settings=settings) as daemon:
        rows = await ask(daemon, "POST", "datasets", 400, data=upload(CSV.encode()))
        assert [error["code"] for error in rows["report"]["errors"]] == ["too_many_rows"]
        large = await ask(daemon, "POST", "datasets", 400, data=upload(b"x" * 3000))
        assert [error["code"] for error in large["report"]["errors"]] == ["too_large"]
        await ask(daemon, "POST", "datasets", 413, json={"content": "x" * 5000})


async def test_a_fine_tuning_that_cannot_be_is_refused(daemon: RunningDaemon) -> None:
    dataset = (await ask(daemon, "POST", "datasets", data=upload(CSV.encode())))["id"]
    order = {"model": "demo", "dataset": dataset}
    for change, status, words in (
        ({"model": "nothing"}, 404, "nothing"),
        ({"rank": 0}, 400, "`rank` must be a whole number from 1 to 256."),
        ({"epochs": "many"}, 400, "epochs"),
        ({"model": "embedder"}, 400, "cannot be fine-tuned: it is for embedding"),
    ):
        refused = await ask(daemon, "POST", "finetunes", status, json={**order, **change})
        assert words in refused["detail"]
    assert (await ask(daemon, "GET", "finetunes"))["finetunes"] == []
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/resume")):
        refused = await ask(daemon, method, f"finetunes/ft_1{path}", 404)
        assert refused["detail"] == "There is no fine-tuning ft_1."


async def test_adapters_are_listed_shown_sent_and_removed(daemon: RunningDaemon) -> None:
    record = await add_adapter(daemon)
    (listed,) = (await ask(daemon, "GET", "adapters"))["adapters"]
    assert (listed["id"], listed["name"], listed["loss"]) == (record.id, "colours", 0.5)
    assert await ask(daemon, "GET", f"adapters/{ADAPTER}") == listed
    async with admin(daemon) as client, client.get(f"/puna/v1/adapters/{ADAPTER}/file") as answer:
        assert await answer.read() == b"GGUF and so on"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{ADAPTER}.gguf"'
    assert await ask(daemon, "DELETE", f"adapters/{ADAPTER}") == listed
    assert not (daemon.services.paths.adapter_dir / ADAPTER).exists()
    for path in (ADAPTER, f"{ADAPTER}/file", "..%2F..", "ft_model_"):
        await ask(daemon, "GET", f"adapters/{path}", 404)


async def test_adapters_outlive_the_daemon_and_damaged_ones_are_left_out(tmp_path: Path) -> None:
    async with run_daemon(tmp_path) as daemon:
        await add_adapter(daemon)
        folder = daemon.services.paths.adapter_dir
    damaged = folder / "ft_model_aaaaaaaaaaaa"
    damaged.mkdir()
    (damaged / "record.json").write_text(json.dumps({"id": "ft_model_aaaaaaaaaaaa"}))
    async with run_daemon(tmp_path) as daemon:
        listed = (await ask(daemon, "GET", "adapters"))["adapters"]
        assert [each["id"] for each in listed] == [ADAPTER]
        assert damaged.exists(), "a newer Puna may be able to read it"


async def test_nobody_without_the_scope_gets_in(daemon: RunningDaemon) -> None:
    key = await daemon.make_key(Scope.INFER, Scope.TRAIN)
    async with daemon.client(Authorization=f"Bearer {key}") as client:
        for path in ("datasets", "finetunes", "adapters", "webhooks"):
            async with client.get(f"/puna/v1/{path}") as answer:
                assert answer.status == 403
