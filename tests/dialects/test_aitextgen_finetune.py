"""AITextGen's fine-tuning: what its bodies turn into, and over HTTP with a fine-tuning of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace as changed

from fakes.asking import get, post
from fakes.held_finetunes import HeldFinetunes
from fakes.running_daemon import RunningDaemon, run_daemon, until
from puna.api.aitextgen.finetune_convert import prefers_not_to_wait, to_order, to_status, training_time_s
from puna.api.aitextgen.finetune_schema import FINETUNE
from puna.api.context import CONTEXT
from puna.api.encoding import encode_json
from puna.domain.datasets import DatasetLimits, PlainText
from puna.domain.finetune import FinetuneJob, FinetuneOrder, FinetuneState
from puna.domain.training import TrainingSettings
from puna.errors import InvalidRequestError, OverloadedError
from puna.finetune.datasets.store import DatasetStore
from puna.finetune.service import FinetuneService
from puna.keys.identity import Scope
from puna.services import Services

PATH = "/v1/aitextgen/finetune"
JOB = "ft_000000000000"
ASK = {"training_data": ["Once upon a time.", "There was a llama."], "model": "demo"}
NOT_WAITING = {"Prefer": "respond-async"}


@dataclass
class Home:
    daemon: RunningDaemon
    finetunes: HeldFinetunes
    datasets: DatasetStore

    def order(self) -> FinetuneOrder:
        return self.finetunes.only().order


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    finetunes, datasets = HeldFinetunes(), DatasetStore(tmp_path / "sets", DatasetLimits())
    datasets.open()

    def tamper(app: web.Application) -> None:
        services = cast("Services", app[CONTEXT])
        app[CONTEXT] = replace(services, finetunes=cast("FinetuneService", finetunes), datasets=datasets)

    async with run_daemon(tmp_path, tamper=tamper) as daemon:
        yield Home(daemon, finetunes, datasets)


@pytest.fixture
async def trainer(home: Home) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose key may train, and nothing else."""
    async with home.daemon.client(X_Api_Key=await home.daemon.make_key(Scope.TRAIN)) as client:
        yield client


def order(**fields: Any) -> FinetuneOrder:
    return to_order(FINETUNE.parse(encode_json(ASK | fields)), model="demo", dataset="ds_1")


# What bodies turn into


def test_the_documented_defaults_hold() -> None:
    expected = FinetuneOrder(
        model="demo", dataset="ds_1", settings=TrainingSettings(epochs=3, learning_rate=5e-5)
    )
    assert order() == expected
    assert order(epochs=None, learning_rate=None) == expected


def test_every_parameter_counts() -> None:
    settings = order(epochs=7, learning_rate=0.001).settings
    assert (settings.epochs, settings.learning_rate) == (7, 0.001)
    assert order(epochs=0.5).settings.epochs == 0.5


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"training_data": []}, "`training_data` must be a list that is not empty."),
        ({"training_data": "text"}, "`training_data` must be a list that is not empty."),
        ({"training_data": ["a", 7]}, "`training_data[1]` must be a string."),
        ({"epochs": 0}, "`epochs` must be a number from 0.001 to 1000."),
        ({"epochs": "three"}, "`epochs` must be a number from 0.001 to 1000."),
        ({"learning_rate": 1}, "`learning_rate` must be a number from 1e-09 to 0.1."),
        ({"model": 7}, "`model` must be a string."),
    ],
)
def test_a_wrong_value_is_refused_with_field_and_range(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        order(**fields)
    assert refused.value.message == complaint


@pytest.mark.parametrize(
    ("lines", "is_async"),
    [
        ([], False),
        (["respond-async"], True),
        (["return=minimal, Respond-Async; x=1"], True),
        (["wait=10", "respond-async"], True),
        (["respond-asynchronously"], False),
    ],
)
def test_the_header_prefer_is_read_as_its_standard_has_it(lines: list[str], is_async: bool) -> None:
    assert prefers_not_to_wait(lines) is is_async


def test_the_time_in_the_queue_is_none_of_training() -> None:
    job = FinetuneJob(
        id="ft_1",
        adapter_id="ft_model_1",
        order=order(),
        state=FinetuneState.DONE,
        created_at=1_000,
        started_at=1_010,
        ended_at=1_190,
    )
    assert training_time_s(job, None) == 180.0
    assert to_status(changed(job, state=FinetuneState.CANCELLED), None).error == "The training was cancelled."


# Over HTTP


async def test_it_answers_when_the_training_is_done(home: Home, trainer: aiohttp.ClientSession) -> None:
    asking = asyncio.create_task(post(trainer, PATH, ASK | {"epochs": 2}))
    await until(lambda: home.finetunes.waiting == 1)
    assert not asking.done()
    home.finetunes.end(FinetuneState.DONE)
    assert await asking == {
        "status": "success",
        "model_id": "ft_model_000000000000",
        "training_time": 180.0,
    }
    order = home.order()
    assert (order.model, order.settings.epochs) == ("demo", 2)
    assert order.organisation_id == home.daemon.services.keys.default_organisation.id
    kept = home.datasets.get(order.dataset)
    assert list(home.datasets.samples(kept)) == [PlainText(text) for text in ASK["training_data"]]


async def test_who_prefers_not_to_wait_is_told_the_ids(home: Home, trainer: aiohttp.ClientSession) -> None:
    async with trainer.post(PATH, json=ASK, headers=NOT_WAITING) as answer:
        assert answer.status == 202
        assert answer.headers["Preference-Applied"] == "respond-async"
        told = await answer.json()
    assert told == {"status": "pending", "model_id": "ft_model_000000000000", "job_id": JOB}
    assert await get(trainer, f"{PATH}/{JOB}") == told
    home.finetunes.end(FinetuneState.DONE)
    assert await get(trainer, f"{PATH}/{JOB}") == told | {"status": "success", "training_time": 180.0}


async def test_a_failed_training_is_an_error(home: Home, trainer: aiohttp.ClientSession) -> None:
    asking = asyncio.create_task(post(trainer, PATH, ASK, status=500))
    await until(lambda: home.finetunes.waiting == 1)
    home.finetunes.end(FinetuneState.FAILED, error="The disk is full.")
    assert await asking == {"detail": "The disk is full.", "error": "The disk is full."}
    failed = await get(trainer, f"{PATH}/{JOB}")
    assert (failed["status"], failed["error"]) == ("failed", "The disk is full.")


async def test_a_daemon_that_stops_tells_where_the_model_will_be(
    home: Home, trainer: aiohttp.ClientSession
) -> None:
    home.finetunes.interruption = OverloadedError("Puna is stopping.", retry_after_s=60)
    told = (await post(trainer, PATH, ASK, 503))["error"]
    assert told.startswith("Puna is stopping. The training goes on all the same: its model will be ft_model_")
    assert told.endswith(f"GET {PATH}/{JOB} tells when.")


async def test_a_client_that_leaves_does_not_end_the_training(
    home: Home, trainer: aiohttp.ClientSession
) -> None:
    asking = asyncio.create_task(post(trainer, PATH, ASK))
    await until(lambda: home.finetunes.waiting == 1)
    asking.cancel()
    await until(lambda: home.finetunes.waiting == 0)
    assert home.finetunes.get(JOB).is_open


async def test_a_client_that_leaves_early_has_ordered_all_the_same(
    home: Home, trainer: aiohttp.ClientSession
) -> None:
    home.finetunes.may_accept.clear()
    asking = asyncio.create_task(post(trainer, PATH, ASK))
    await until(lambda: bool(home.datasets.list()))
    asking.cancel()
    await asyncio.sleep(0.05)
    home.finetunes.may_accept.set()
    await until(lambda: bool(home.finetunes.jobs))


async def test_refusals_are_told_in_the_documented_way(home: Home, trainer: aiohttp.ClientSession) -> None:
    assert (await post(trainer, PATH, {}, 400))["error"] == "`training_data` is required."
    empty = await post(trainer, PATH, ASK | {"training_data": ["", " "]}, 400)
    assert empty["detail"].startswith("`training_data` cannot be trained on: ")
    assert "There is no model nope" in (await post(trainer, PATH, ASK | {"model": "nope"}, 404))["error"]
    home.finetunes.refusal = InvalidRequestError("The model demo cannot be fine-tuned.", field="model")
    assert (await post(trainer, PATH, ASK, 400))["error"] == "The model demo cannot be fine-tuned."
    assert "There is no fine-tuning" in (await get(trainer, f"{PATH}/nope", 404))["detail"]


async def test_without_a_name_the_current_model_is_trained(
    home: Home, trainer: aiohttp.ClientSession
) -> None:
    await home.daemon.services.residency.load("other")
    async with trainer.post(
        PATH, json={"training_data": ["text"], "model": ""}, headers=NOT_WAITING
    ) as answer:
        assert answer.status == 202
    assert home.order().model == "other"


async def test_without_any_name_it_is_the_default_model(home: Home, trainer: aiohttp.ClientSession) -> None:
    async with trainer.post(PATH, json={"training_data": ["text"]}, headers=NOT_WAITING) as answer:
        assert answer.status == 202
    assert home.order().model == "demo"


async def test_who_may_not_train_orders_nothing(home: Home) -> None:
    async with home.daemon.client() as nobody:
        await post(nobody, PATH, ASK, 401)
        await get(nobody, f"{PATH}/{JOB}", 401)
    async with home.daemon.client(X_Api_Key=await home.daemon.make_key(Scope.INFER)) as reader:
        assert "scope train" in (await post(reader, PATH, ASK, 403))["detail"]
    assert home.finetunes.jobs == {}
    assert home.datasets.list() == ()


async def test_another_organisation_sees_no_job(home: Home, trainer: aiohttp.ClientSession) -> None:
    async with trainer.post(PATH, json=ASK, headers=NOT_WAITING) as answer:
        assert answer.status == 202
    other = await home.daemon.services.keys.create_organisation("other")
    key = await home.daemon.make_key(Scope.TRAIN, organisation=other.id)
    async with home.daemon.client(X_Api_Key=key) as stranger:
        await get(stranger, f"{PATH}/{JOB}", 404)
