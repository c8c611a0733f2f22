"""The part of the control API that is about datasets, fine-tuning and adapters, for the command line."""

import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from puna.client import ControlClient, connect
from puna.domain.datasets import Dataset, DatasetFormat, DatasetReport
from puna.domain.finetune import AdapterRecord, FinetuneJob, FinetuneOrder
from puna.domain.merging import ExportEvent, MergedType
from puna.domain.training import TrainingPlan
from puna.errors import NotRunningError, PunaError
from puna.event_stream import follow_events, reason_in
from puna.instance import Endpoint
from puna.paths import Paths

_TIMEOUT_S = 600.0
"""A plan needs the model loaded and all samples turned into tokens."""
_CHUNK_BYTES = 1024 * 1024
_REFUSAL_LIMIT = 4 * 1024 * 1024


class DatasetFaultyError(PunaError):
    """The daemon refused a dataset; `report` says what is wrong in which row, where the daemon told it."""

    def __init__(self, message: str, report: DatasetReport | None) -> None:
        super().__init__(message)
        self.report = report


class _Datasets(Struct, frozen=True):
    datasets: tuple[Dataset, ...]


class _Finetunes(Struct, frozen=True):
    finetunes: tuple[FinetuneJob, ...]


class _Adapters(Struct, frozen=True):
    adapters: tuple[AdapterRecord, ...]


class _Plan(Struct, frozen=True):
    plan: TrainingPlan


class _FaultyReply(Struct, frozen=True):
    detail: str = "no reason given"
    report: DatasetReport | None = None


class FinetuneClient(ControlClient):
    """Every method blocks, and raises `NotRunningError` when nothing answers, `PunaError` when the daemon refuses."""

    _says_refused = ""

    def __init__(self, endpoint: Endpoint, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__(endpoint, timeout_s)

    # Datasets

    def datasets(self) -> tuple[Dataset, ...]:
        """Return all, the newest first."""
        return self._ask("GET", "/puna/v1/datasets", _Datasets).datasets

    def dataset(self, dataset_id: str) -> Dataset:
        """Return one, with its report."""
        return self._ask("GET", f"/puna/v1/datasets/{quote(dataset_id, safe='')}", Dataset)

    def add_dataset(self, path: Path, stated: DatasetFormat | None = None) -> Dataset:
        """Let the daemon keep a copy of a file. Raises `DatasetFaultyError` too, with the report."""
        body = {"path": str(path.absolute()), "format": stated}
        try:
            status, reply = self._exchange("POST", "/puna/v1/datasets", body)
        except (OSError, http.client.HTTPException) as error:
            message = f"Nothing answers at {self.endpoint.url} ({type(error).__name__}: {error})."
            raise NotRunningError(message) from error
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise _to_faulty(reply)
        return msgspec.json.decode(reply, type=Dataset)

    def remove_dataset(self, dataset_id: str) -> None:
        """Delete the daemon's copy."""
        self._ask("DELETE", f"/puna/v1/datasets/{quote(dataset_id, safe='')}", object)

    # Fine-tuning

    def plan(self, order: FinetuneOrder) -> TrainingPlan:
        """Return what a training would be, without beginning it."""
        return self._ask("POST", "/puna/v1/finetunes", _Plan, _to_body(order, dry_run=True)).plan

    def begin(self, order: FinetuneOrder) -> FinetuneJob:
        """Begin a training, or put it behind those that wait."""
        return self._ask("POST", "/puna/v1/finetunes", FinetuneJob, _to_body(order, dry_run=False))

    def finetunes(self) -> tuple[FinetuneJob, ...]:
        """Return all trainings, the oldest first."""
        return self._ask("GET", "/puna/v1/finetunes", _Finetunes).finetunes

    def finetune(self, job_id: str) -> FinetuneJob:
        """Return one training as it is now."""
        return self._ask("GET", _job_path(job_id), FinetuneJob)

    def cancel(self, job_id: str, *, keeps_checkpoint: bool) -> FinetuneJob:
        """End a training."""
        body = {"keeps_checkpoint": keeps_checkpoint}
        return self._ask("POST", f"{_job_path(job_id)}/cancel", FinetuneJob, body)

    def resume(self, job_id: str) -> FinetuneJob:
        """Let a training that failed or was cancelled go on from its checkpoint."""
        return self._ask("POST", f"{_job_path(job_id)}/resume", FinetuneJob)

    def follow(self, job: FinetuneJob) -> Iterator[FinetuneJob]:
        """Yield how far a training is, until it goes on no more by itself. One that is over is yielded once."""
        if job.is_open:
            yield from follow_events(self.endpoint, f"{_job_path(job.id)}?follow=1", FinetuneJob)
        else:
            yield job

    # Adapters

    def adapters(self) -> tuple[AdapterRecord, ...]:
        """Return all."""
        return self._ask("GET", "/puna/v1/adapters", _Adapters).adapters

    def adapter(self, adapter_id: str) -> AdapterRecord:
        """Return one."""
        return self._ask("GET", _adapter_path(adapter_id), AdapterRecord)

    def remove_adapter(self, adapter_id: str) -> None:
        """Delete an adapter."""
        self._ask("DELETE", _adapter_path(adapter_id), object)

    def export_merged(
        self, adapter_id: str, target: Path, merged_type: MergedType | None
    ) -> Iterator[ExportEvent]:
        """Let the daemon merge an adapter with its base into a new file; one that stops reading cancels it."""
        body = {"path": str(target), "merged": True, "type": merged_type}
        return follow_events(self.endpoint, f"{_adapter_path(adapter_id)}/export", ExportEvent, body=body)

    def export_adapter(self, adapter_id: str, target: Path) -> int:
        """Write an adapter's GGUF to a file that does not exist yet; return its size. Raises `OSError` too."""
        connection = http.client.HTTPConnection(
            self.endpoint.connect_host, self.endpoint.port, timeout=self._timeout_s
        )
        try:
            headers = {"Authorization": f"Bearer {self.endpoint.token}"}
            connection.request("GET", f"{_adapter_path(adapter_id)}/file", headers=headers)
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise PunaError(reason_in(response.read(_REFUSAL_LIMIT)))
            return _receive(response, target)
        except http.client.HTTPException as error:
            raise NotRunningError(f"The connection to Puna was lost ({type(error).__name__}).") from error
        finally:
            connection.close()


def _receive(response: http.client.HTTPResponse, target: Path) -> int:
    with target.open("xb") as stream:
        try:
            shutil.copyfileobj(response, stream, _CHUNK_BYTES)
            if response.length:
                raise NotRunningError("The connection to Puna was lost before the file was whole.")
            return stream.tell()
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def _to_body(order: FinetuneOrder, *, dry_run: bool) -> dict[str, object]:
    wished = {"model": order.model, "dataset": order.dataset, "name": order.name, "dry_run": dry_run}
    return msgspec.structs.asdict(order.settings) | wished


def _to_faulty(reply: bytes) -> DatasetFaultyError:
    try:
        told = msgspec.json.decode(reply, type=_FaultyReply)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = _FaultyReply()
    return DatasetFaultyError(told.detail, told.report)


def _job_path(job_id: str) -> str:
    return f"/puna/v1/finetunes/{quote(job_id, safe='')}"


def _adapter_path(adapter_id: str) -> str:
    return f"/puna/v1/adapters/{quote(adapter_id, safe='')}"


def connect_finetunes(paths: Paths) -> FinetuneClient:
    """Return a client of the running daemon. Raises `NotRunningError` with the next step."""
    return FinetuneClient(connect(paths).endpoint)
