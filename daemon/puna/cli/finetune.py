"""`puna finetune`: train an adapter."""

from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer

from puna.cli.datasets import add_file
from puna.cli.figures import print_table
from puna.cli.finetune_progress import watch
from puna.cli.finetune_words import job_row, outcome, plan_lines
from puna.cli.model_names import complete_model
from puna.cli.outcome import complain, say
from puna.domain.finetune import FinetuneJob, FinetuneOrder, FinetuneState
from puna.domain.training import TrainingPlan, TrainingSettings
from puna.errors import PunaError
from puna.finetune_client import FinetuneClient, connect_finetunes
from puna.paths import Paths
from puna.terminal.redrawing import waiting

_HELP = """

Trains a small adapter on the model's own GGUF file; the file stays as it is. The daemon trains, at low priority, one
training after the other; this command shows how far it is. Ctrl-C only ends the showing. A restart or a crash loses
at most the last minute of training.

\b
Examples:
  puna finetune --model demo --data reviews.csv
  puna finetune -m demo -d ds_0123456789abcdef_csv --epochs 5 --rank 8
  puna finetune -m demo -d reviews.csv --dry-run    what it would take
  puna finetune -m demo -d reviews.csv --detach     do not wait
  puna finetune --list                              all trainings
  puna finetune --cancel ID --keep                  end it; --resume goes on
"""


def add_to(app: typer.Typer, summary: str) -> None:
    """Add the command to the command line."""
    app.command("finetune", help=summary + _HELP)(_command)


_Resume = Annotated[str | None, typer.Option(metavar="ID", help="Go on from the checkpoint of a training.")]


def _command(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The base model.", autocompletion=complete_model)
    ] = None,
    data: Annotated[str | None, typer.Option("--data", "-d", help="A file, or the id of a dataset.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the samples [3, more for few].")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At its peak [by the model's width].")] = None,
    rank: Annotated[int | None, typer.Option(help="Size of the adapter [16].")] = None,
    alpha: Annotated[float | None, typer.Option(help="Strength of the adapter [twice the rank].")] = None,
    targets: Annotated[
        str | None, typer.Option(help="Matrices, with commas: attn_q,attn_k,... [all seven].")
    ] = None,
    row_length: Annotated[
        int | None, typer.Option(help="Tokens of a step, a multiple of 256 [by the data].")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same one gives the same adapter [1].")] = None,
    name: Annotated[str, typer.Option(help="What you will know it by.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it takes, and train nothing.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show all trainings.")] = False,
    follow: Annotated[str | None, typer.Option(metavar="ID", help="Show how far a training is.")] = None,
    resume: _Resume = None,
    cancel: Annotated[str | None, typer.Option(metavar="ID", help="End a training.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="With --cancel: keep its last checkpoint.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    if sum(map(bool, (list_, follow, resume, cancel))) > 1:
        raise typer.BadParameter("Give one of --list, --follow, --resume and --cancel.")
    if keep and not cancel:
        raise typer.BadParameter("--keep is for --cancel: it keeps the last checkpoint.")
    if list_ or follow or resume or cancel:
        wish = _Wish(follow=follow, resume=resume, cancel=cancel, keep=keep)
        _look_after(connect_finetunes(Paths.for_user()), wish, detach=detach, json=json)
        return
    if model is None or data is None:
        raise typer.BadParameter("Name a base with --model and a dataset with --data.")
    settings = to_settings(
        epochs=epochs,
        learning_rate=learning_rate,
        rank=rank,
        alpha=alpha,
        targets=targets,
        row_length=row_length,
        seed=seed,
    )
    client = connect_finetunes(Paths.for_user())
    dataset = _dataset_id(client, data, json=json)
    order = FinetuneOrder(model=model, dataset=dataset, settings=settings, name=name)
    if dry_run:
        with waiting("Looking at the model and the data ..."):
            plan = client.plan(order)
        _print_plan(plan, json=json)
    else:
        _end(client, client.begin(order), detach=detach, json=json)


class _Wish(NamedTuple):
    """What is to become of trainings that were begun before; without any, they are listed."""

    follow: str | None
    resume: str | None
    cancel: str | None
    keep: bool


def _look_after(client: FinetuneClient, wish: _Wish, *, detach: bool, json: bool) -> None:
    if wish.cancel:
        _print_job(client.cancel(wish.cancel, keeps_checkpoint=wish.keep), json=json)
    elif wish.resume:
        _end(client, client.resume(wish.resume), detach=detach, json=json)
    elif wish.follow:
        _end(client, client.finetune(wish.follow), detach=detach, json=json)
    else:
        _print_all(client.finetunes(), json=json)


def to_settings(*, targets: str | None, **figures: float | None) -> TrainingSettings:
    """Return the settings of the options that were given. Raises `typer.BadParameter`."""
    given: dict[str, object] = {key: value for key, value in figures.items() if value is not None}
    if targets is not None:
        given["targets"] = tuple(part.strip() for part in targets.split(",") if part.strip())
    settings = msgspec.convert(given, TrainingSettings)
    fault = settings.find_fault()
    if fault is not None:
        field, allowed = fault
        raise typer.BadParameter(f"It must be {allowed}.", param_hint=f"--{field.replace('_', '-')}")
    return settings


def _dataset_id(client: FinetuneClient, data: str, *, json: bool) -> str:
    """Return the id of a dataset; what is no id is a file, which is added first."""
    is_id = data.startswith("ds_") and not Path(data).is_file()
    return data if is_id else add_file(client, Path(data), None, json=json).id


def _end(client: FinetuneClient, job: FinetuneJob, *, detach: bool, json: bool) -> None:
    """Wait for the end, or not, and say how it is."""
    if not detach:
        job = _watch(client, job)
    if job.state is FinetuneState.FAILED:
        if json:
            typer.echo(msgspec.json.encode(job))
        raise PunaError(outcome(job))
    _print_job(job, json=json)


def _watch(client: FinetuneClient, job: FinetuneJob) -> FinetuneJob:
    try:
        return watch(client, job)
    except KeyboardInterrupt:
        # An evening's work is not thrown away by one key.
        complain(outcome(job))
        raise


def _print_job(job: FinetuneJob, *, json: bool) -> None:
    typer.echo(msgspec.json.encode(job)) if json else say(outcome(job))


def _print_plan(plan: TrainingPlan, *, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode(plan))
        return
    for line in plan_lines(plan):
        say(line)


def _print_all(jobs: tuple[FinetuneJob, ...], *, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode({"finetunes": jobs}))
    elif not jobs:
        say("There are no trainings; `puna finetune --model MODEL --data FILE` begins one.")
    else:
        columns = ("id", "name", "model", "dataset", "state", "done", "loss", "adapter")
        print_table(columns, list(map(job_row, jobs)))
