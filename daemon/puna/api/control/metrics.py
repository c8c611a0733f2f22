"""Figures in Prometheus' text format, collected when somebody asks."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

import puna
from puna.api.activity import Activity
from puna.domain.generation import Usage
from puna.jobs.service import JobFigures
from puna.residency.coordinator import Coordinator
from puna.residency.place import Resident

__all__ = ["CONTENT_TYPE", "render_metrics"]

_TOKEN_KINDS: dict[str, Callable[[Usage], int]] = {
    "prompt": lambda usage: usage.prompt_tokens,
    "completion": lambda usage: usage.completion_tokens,
    "cached": lambda usage: usage.cached_tokens,
}
_MODEL_GAUGES: dict[str, tuple[str, Callable[[Resident], float]]] = {
    "puna_model_slots": (
        "Requests that the model can run at the same time.",
        lambda resident: resident.loaded.slots if resident.loaded else 0,
    ),
    "puna_model_busy_slots": ("Requests that it runs now.", lambda resident: resident.status.busy_slots),
    "puna_model_waiting_requests": (
        "Requests that wait for a slot.",
        lambda resident: resident.status.waiting_requests,
    ),
    "puna_model_used_cells": (
        "Tokens in its context, cached ones included.",
        lambda resident: resident.status.used_cells,
    ),
    "puna_model_threads": ("Threads that compute for it now.", lambda resident: resident.status.threads),
}
_MODEL_COUNTERS: dict[str, tuple[str, Callable[[Resident], float]]] = {
    "puna_model_prompt_tokens": (
        "Prompt tokens computed since its load.",
        lambda resident: resident.status.prompt_tokens,
    ),
    "puna_model_cached_prompt_tokens": (
        "Prompt tokens taken from the prefix cache since its load.",
        lambda resident: resident.status.cached_prompt_tokens,
    ),
    "puna_model_completion_tokens": (
        "Tokens generated since its load.",
        lambda resident: resident.status.completion_tokens,
    ),
}


def render_metrics(activity: Activity, residency: Coordinator, jobs: JobFigures) -> bytes:
    """Return all figures as they are now."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(activity, residency, jobs))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, activity: Activity, residency: Coordinator, jobs: JobFigures) -> None:
        self._activity = activity
        self._residents = residency.residents()
        self._jobs = jobs

    def collect(self) -> Iterable[Metric]:
        yield from self._collect_daemon()
        yield from self._collect_models()
        yield from self._collect_jobs()

    def _collect_daemon(self) -> Iterable[Metric]:
        build = GaugeMetricFamily("puna_build_info", "The version that runs.", labels=["version"])
        build.add_metric([puna.__version__], 1)
        yield build
        yield GaugeMetricFamily("puna_uptime_seconds", "Time since the start.", self._activity.uptime_s)
        yield GaugeMetricFamily(
            "puna_open_requests", "Requests that are being answered.", self._activity.open_requests
        )
        answers = CounterMetricFamily(
            "puna_requests", "Requests answered; 499 is a client that left.", labels=["dialect", "status"]
        )
        for (dialect, status), count in sorted(self._activity.answers.items()):
            answers.add_metric([dialect, str(status)], count)
        yield answers
        tokens = CounterMetricFamily("puna_tokens", "Tokens of finished texts.", labels=["dialect", "kind"])
        for dialect, usage in sorted(self._activity.usage.items()):
            for kind, count_of in _TOKEN_KINDS.items():
                tokens.add_metric([dialect, kind], count_of(usage))
        yield tokens

    def _collect_models(self) -> Iterable[Metric]:
        for name, (help_text, value_of) in _MODEL_GAUGES.items():
            gauge = GaugeMetricFamily(name, help_text, labels=["model"])
            for resident in self._residents:
                gauge.add_metric([resident.entry.id], value_of(resident))
            yield gauge
        for name, (help_text, value_of) in _MODEL_COUNTERS.items():
            counter = CounterMetricFamily(name, help_text, labels=["model"])
            for resident in self._residents:
                counter.add_metric([resident.entry.id], value_of(resident))
            yield counter

    def _collect_jobs(self) -> Iterable[Metric]:
        jobs = GaugeMetricFamily("puna_jobs", "Generation jobs that have not ended.", labels=["state"])
        jobs.add_metric(["queued"], self._jobs.queued_jobs)
        jobs.add_metric(["running"], self._jobs.running_jobs)
        yield jobs
        tasks = GaugeMetricFamily("puna_job_tasks", "Tasks of these jobs.", labels=["state"])
        tasks.add_metric(["waiting"], self._jobs.waiting_tasks)
        tasks.add_metric(["running"], self._jobs.running_tasks)
        yield tasks
