"""The routes about datasets, fine-tunings and adapters."""

from puna.api.control import adapters, datasets, finetunes
from puna.api.control.route import control_route
from puna.api.control.training_schema import (
    ADD_DATASET,
    CANCEL_FINETUNE,
    FINETUNE,
    AdaptersReply,
    DatasetsReply,
    FinetunesReply,
)
from puna.api.dialect import Route
from puna.api.streaming import SSE
from puna.domain.datasets import Dataset
from puna.domain.finetune import AdapterRecord, FinetuneJob
from puna.keys.identity import Scope

_DATASET = "/puna/v1/datasets/{dataset_id}"
_FINETUNE = "/puna/v1/finetunes/{finetune_id}"
_ADAPTER = "/puna/v1/adapters/{adapter_id}"

TRAINING_ROUTES: tuple[Route, ...] = (
    control_route("GET", "/puna/v1/datasets", datasets.list_datasets, DatasetsReply),
    Route(
        method="POST",
        path="/puna/v1/datasets",
        handler=datasets.add_dataset,
        is_counted=False,
        scope=Scope.MANAGE,
        takes_multipart=True,
        body_limit_bytes=datasets.UPLOAD_LIMIT_BYTES,
        body=ADD_DATASET,
        reply=Dataset,
    ),
    control_route("GET", _DATASET, datasets.show_dataset, Dataset),
    control_route("DELETE", _DATASET, datasets.remove_dataset, Dataset),
    control_route(
        "GET",
        "/puna/v1/finetunes",
        finetunes.list_finetunes,
        FinetunesReply,
        stream_type=SSE,
        query={"follow": "Set to anything: news of all fine-tunings as server-sent events, without end."},
    ),
    control_route("POST", "/puna/v1/finetunes", finetunes.order_finetune, FinetuneJob, body=FINETUNE),
    control_route(
        "GET",
        _FINETUNE,
        finetunes.show_finetune,
        FinetuneJob,
        stream_type=SSE,
        query={"follow": "Set to anything: its news as server-sent events, until it has ended."},
    ),
    control_route(
        "POST", f"{_FINETUNE}/cancel", finetunes.cancel_finetune, FinetuneJob, body=CANCEL_FINETUNE
    ),
    control_route("POST", f"{_FINETUNE}/resume", finetunes.resume_finetune, FinetuneJob),
    control_route("GET", "/puna/v1/adapters", adapters.list_adapters, AdaptersReply),
    control_route("GET", _ADAPTER, adapters.show_adapter, AdapterRecord),
    control_route("DELETE", _ADAPTER, adapters.remove_adapter, AdapterRecord),
    control_route("GET", f"{_ADAPTER}/file", adapters.send_adapter, None),
)
