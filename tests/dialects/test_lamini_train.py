"""Lamini's training: what its bodies turn into, and its own client against the running daemon."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import aiohttp
import pytest
from aiohttp import web

from fakes.asking import get, post
from fakes.held_finetunes import HeldFinetunes
from fakes.running_daemon import RunningDaemon, run_daemon
from puna.api.context import CONTEXT
from puna.api.encoding import encode_json
from puna.api.lamini.train_convert import to_job_id, to_jsonl, to_number, to_order
from puna.api.lamini.train_schema import LOCAL_DATA, TRAIN
from puna.domain.datasets import Completion
from puna.domain.finetune import FinetuneOrder, FinetuneState
from puna.domain.training import TrainingSettings
from puna.errors import InvalidRequestError, NotFoundError
from puna.finetune.service import FinetuneService
from puna.keys.identity import Scope
from puna.services import Services

PAIRS = [{"input": "How old is Carl?", "output": "Ten."}, {"input": "And Paul?", "output": 12}]
SAMPLES = [Completion("How old is Carl?", "Ten."), Completion("And Paul?", "12")]
_Result = TypeVar("_Result")


async def call(function: Callable[..., _Result], *arguments: Any, **options: Any) -> _Result:
    return await asyncio.to_thread(function, *arguments, **options)


@pytest.fixture
def finetunes() -> HeldFinetunes:
    return HeldFinetunes()


@pytest.fixture
async def daemon(tmp_path: Path, finetunes: HeldFinetunes) -> AsyncIterator[RunningDaemon]:
    def tamper(app: web.Application) -> None:
        services = cast("Services", app[CONTEXT])
        app[CONTEXT] = replace(services, finetunes=cast("FinetuneService", finetunes))

    async with run_daemon(tmp_path, tamper=tamper) as running:
        yield running


@pytest.fixture
async def key(daemon: RunningDaemon) -> str:
    return await daemon.make_key(Scope.TRAIN)


@pytest.fixture
async def trainer(daemon: RunningDaemon, key: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with daemon.client(Authorization=f"Bearer {key}", Lamini_Version="3.4.6") as client:
        yield client


@pytest.fixture
def llm(daemon: RunningDaemon, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package, which reads no settings of this machine's user."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    package = importlib.import_module("lamini")
    monkeypatch.setattr(package, "api_key", key)
    monkeypatch.setattr(package, "api_url", daemon.url)
    return package.Lamini(model_name="demo")


def order(**fields: Any) -> FinetuneOrder:
    body = TRAIN.parse(encode_json({"dataset_id": "ds_1", **fields}))
    return to_order(body, model="demo", dataset=body.dataset_id)


# What bodies turn into


def test_without_arguments_the_usual_settings_hold() -> None:
    assert order() == FinetuneOrder(model="demo", dataset="ds_1")
    nothing = order(finetune_args=None, gpu_config=None, is_public=None, train_type=None)
    assert nothing == order(finetune_args={}, gpu_config={"gpus": 8}, train_type="memory_tuning")


def test_arguments_become_settings() -> None:
    arguments = {"learning_rate": 0.001, "epochs": 2, "seed": 0, "peft_args": {"r_value": 64}}
    told = order(finetune_args=arguments, custom_model_name="mine")
    assert told.settings == TrainingSettings(learning_rate=0.001, epochs=2, seed=0, rank=64)
    assert told.name == "mine"
    assert order(finetune_args={"num_train_epochs": 5}).settings.epochs == 5


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"finetune_args": {"max_steps": 10}}, "`finetune_args.max_steps` cannot be chosen"),
        ({"finetune_args": {"epochs": 0}}, "`finetune_args.epochs` must be a number from 0.001 to 1000."),
        ({"train_type": "memory_rag"}, "`train_type` must be memory_tuning or absent."),
        ({"dataset_id": ""}, "`dataset_id` must be a non-empty string."),
    ],
)
def test_what_cannot_be_honoured_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        order(**fields)
    assert complaint in refused.value.message


def test_rows_become_prompts_and_completions() -> None:
    body = LOCAL_DATA.parse(encode_json({"data": PAIRS}))
    assert list(to_jsonl(body.data)) == [
        b'{"prompt":"How old is Carl?","completion":"Ten."}\n',
        b'{"prompt":"And Paul?","completion":"12"}\n',
    ]


def test_an_input_with_a_template_of_its_own_is_refused() -> None:
    body = LOCAL_DATA.parse(encode_json({"data": [{"input": "<|user|>Hello", "output": "Hi"}]}))
    with pytest.raises(InvalidRequestError, match=r"`data\[0\].input` has the markers"):
        list(to_jsonl(body.data))


def test_numbers_of_jobs_are_their_ids() -> None:
    number = to_number("ft_0000000000ff")
    assert (number, to_job_id(str(number))) == (255, "ft_0000000000ff")
    for wrong in ("ft_1", "-1", "1e3", ""):
        with pytest.raises(NotFoundError):
            to_job_id(wrong)


# Over HTTP


async def test_the_client_uploads_trains_and_asks_until_it_is_done(
    daemon: RunningDaemon, finetunes: HeldFinetunes, llm: Any, key: str
) -> None:
    begun = await call(llm.train, PAIRS, finetune_args={"epochs": 2}, custom_model_name="mine")
    order = finetunes.only().order
    datasets = daemon.services.datasets
    assert list(datasets.samples(datasets.get(order.dataset))) == SAMPLES
    assert (order.model, order.settings.epochs, begun["status"]) == ("demo", 2, "CREATED")
    assert begun["dataset_id"] == order.dataset
    waiting = await call(llm.check_job_status, begun["job_id"])
    assert (waiting["status"], waiting["model_name"], waiting["start_time"]) == ("QUEUED", None, None)
    finetunes.end(FinetuneState.DONE)
    done = await call(llm.check_job_status, begun["job_id"])
    assert done == {
        "job_id": begun["job_id"],
        "status": "COMPLETED",
        "start_time": "1970-01-01T00:16:50",
        "model_name": finetunes.only().adapter_id,
        "custom_model_name": "mine",
        "error": None,
    }
    assert await call(llm.get_jobs) == [done]


async def test_the_client_trains_on_what_it_uploaded_before(finetunes: HeldFinetunes, llm: Any) -> None:
    dataset_id = await call(llm.upload_data, PAIRS)
    assert await call(llm.upload_data, PAIRS) == dataset_id
    await call(llm.train, dataset_id)
    assert finetunes.only().order.dataset == dataset_id


async def test_the_client_cancels_and_resumes(finetunes: HeldFinetunes, llm: Any) -> None:
    job = await call(llm.train, PAIRS)
    assert await call(llm.cancel_job, job["job_id"]) == {"message": f"cancelled {job['job_id']}"}
    assert finetunes.only().has_checkpoint
    assert (await call(llm.check_job_status, job["job_id"]))["status"] == "CANCELLED"
    assert (await call(llm.resume_job, job["job_id"]))["status"] == "QUEUED"
    assert await call(llm.cancel_all_jobs) == {"message": f"cancelled {job['job_id']}"}
    assert await call(llm.cancel_all_jobs) == {"message": "cancelled none"}


async def test_errors_are_the_client_s_own(llm: Any) -> None:
    errors = importlib.import_module("lamini.error.error")
    with pytest.raises(errors.UserError, match="has the markers of a chat template"):
        await call(llm.upload_data, [{"input": "[INST] Hello [/INST]", "output": "Hi"}])
    llm.model_name = "nope"
    with pytest.raises(errors.ModelNotFoundError, match="There is no model nope"):
        await call(llm.train, PAIRS)


async def test_what_is_not_there_is_not_found(trainer: aiohttp.ClientSession) -> None:
    await get(trainer, "/v1/train/jobs/7", 404)
    await get(trainer, "/v1/train/jobs/none", 404)
    await post(trainer, "/v1/existing-data", {"dataset_id": "ds_nope"}, 404)


async def test_another_organisation_sees_no_job(daemon: RunningDaemon, llm: Any) -> None:
    job = await call(llm.train, PAIRS)
    other = await daemon.services.keys.create_organisation("other")
    key = await daemon.make_key(Scope.TRAIN, organisation=other.id)
    async with daemon.client(X_Api_Key=key) as stranger:
        assert await get(stranger, "/v1/train/jobs") == []
        await get(stranger, f"/v1/train/jobs/{job['job_id']}", 404)


async def test_who_may_not_train_trains_nothing(daemon: RunningDaemon, finetunes: HeldFinetunes) -> None:
    async with daemon.client(X_Api_Key=await daemon.make_key(Scope.INFER)) as reader:
        assert "scope train" in (await post(reader, "/v1/train", {"dataset_id": "x"}, 403))["detail"]
    assert finetunes.jobs == {}
