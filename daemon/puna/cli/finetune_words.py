"""What `puna finetune` and `puna adapters` say. Pure."""

from puna.cli.figures import in_columns, show_count, show_size, show_time
from puna.cli.status import show_duration
from puna.domain.datasets import SampleKind
from puna.domain.finetune import AdapterRecord, FinetuneJob, FinetuneState
from puna.domain.training import Evaluation, TrainingPlan
from puna.finetune.datasets.wording import show_text

_LABELS_SHOWN = 10
_LABEL_WIDTH = 40


def plan_lines(plan: TrainingPlan) -> list[str]:
    """Return what is going to happen, line by line."""
    left_out = [
        f"{count} {why}"
        for count, why in (
            (plan.too_long, "too long for a row"),
            (plan.without_answer, "with nothing to learn"),
        )
        if count
    ]
    facts = [
        ("samples", f"{plan.samples}{_of_which_left_out(left_out)}"),
        ("tokens", f"{show_count(plan.tokens)}, {show_count(plan.answer_tokens)} of them to be learnt"),
        ("steps", f"{plan.steps} rows of {plan.row_length} tokens{_gone_on(plan.first_step)}"),
        ("epochs", f"{plan.epochs:g}, at a learning rate of {plan.learning_rate:g}"),
        ("adapter", f"{show_count(plan.parameters)} numbers"),
        ("takes", f"about {show_duration(plan.estimate.seconds)} on {_threads(plan.threads)}"),
        ("memory", f"{show_size(plan.estimate.memory_bytes)} at its peak"),
    ]
    return [*in_columns(facts), *(f"note: {note}" for note in plan.notes)]


def _of_which_left_out(left_out: list[str]) -> str:
    return f" ({', '.join(left_out)}, left out)" if left_out else ""


def _gone_on(first_step: int) -> str:
    return f", {first_step} of them done before" if first_step else ""


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def outcome(job: FinetuneJob) -> str:
    """Return one sentence on where a training stands."""
    match job.state:
        case FinetuneState.DONE:
            return f"{job.adapter_id} is there{_gains(job)}; `puna run {job.adapter_id}` uses it."
        case FinetuneState.FAILED:
            return f"The training {job.id} failed: {job.error or 'no reason was told'}{_resumable(job)}"
        case FinetuneState.CANCELLED:
            return f"The training {job.id} is cancelled.{_resumable(job)}"
        case _:
            return (
                f"The training {job.id} goes on in the background: `puna finetune --follow {job.id}` shows it, "
                f"`puna finetune --cancel {job.id}` ends it."
            )


def _resumable(job: FinetuneJob) -> str:
    return f" `puna finetune --resume {job.id}` goes on from its checkpoint." if job.has_checkpoint else ""


def _gains(job: FinetuneJob) -> str:
    change = evaluation_change(job.before, job.after)
    return f": {change}" if change else ""


def evaluation_change(before: Evaluation | None, after: Evaluation | None) -> str:
    """Return what held-out samples tell, before and after; nothing where there were none."""
    if before is None or after is None or not after.samples:
        return ""
    loss = f"loss {before.loss:.3f} before, {after.loss:.3f} after"
    if not after.choices:
        return f"{loss}, on {after.samples} samples kept apart"
    accuracy = f"accuracy {accuracy_of(before)} before, {accuracy_of(after)} after"
    return f"{accuracy}, {loss}, on {after.choices} samples kept apart"


def accuracy_of(evaluation: Evaluation | None) -> str:
    """Return the share of right choices; a dash where there were none."""
    if evaluation is None or not evaluation.choices:
        return "-"
    return f"{100 * evaluation.right / evaluation.choices:.1f} %"


def stage(job: FinetuneJob) -> str:
    """Return what happens right now, in a few words."""
    if job.progress is None:
        return {FinetuneState.QUEUED: "waiting", FinetuneState.PREPARING: "preparing"}.get(
            job.state, str(job.state)
        )
    if job.progress.step >= job.progress.steps:
        return "measuring"
    return f"loss {job.progress.loss:.3f}"


def job_row(job: FinetuneJob) -> tuple[str, ...]:
    """Return the cells of a training's row."""
    progress = job.progress
    share = f"{100 * progress.step // progress.steps} %" if progress and progress.steps else "-"
    loss = f"{progress.loss:.3f}" if progress else "-"
    return (
        job.id,
        job.order.name or "-",
        job.order.model,
        job.order.dataset,
        str(job.state),
        share,
        loss,
        job.adapter_id,
    )


def adapter_row(record: AdapterRecord) -> tuple[str, ...]:
    """Return the cells of an adapter's row."""
    return (
        record.id,
        record.name or "-",
        record.base_id,
        accuracy_of(record.after),
        f"{record.after.loss:.3f}" if record.after and record.after.samples else f"{record.loss:.3f}",
        show_size(record.size_bytes),
        show_time(record.created_at),
    )


def adapter_lines(record: AdapterRecord) -> list[str]:
    """Return all there is to say of an adapter, line by line."""
    settings = record.settings
    return in_columns(
        [
            ("adapter", record.id),
            ("name", record.name),
            ("base", f"{record.base_id} ({record.base_architecture})"),
            ("base sha256", record.base_sha256),
            ("dataset", record.dataset_id),
            ("data sha256", record.dataset_sha256),
            ("labels", _label_list(record) if record.kind is SampleKind.LABELLED else ""),
            ("result", evaluation_change(record.before, record.after)),
            ("training", f"{record.steps} steps in {show_duration(record.seconds)}, loss {record.loss:.3f}"),
            (
                "settings",
                f"epochs {_chosen(settings.epochs)}, learning rate {_chosen(settings.learning_rate)}, "
                f"rank {settings.rank}, alpha {settings.scale:g}, seed {settings.seed}",
            ),
            ("targets", ", ".join(settings.targets)),
            ("size", show_size(record.size_bytes)),
            ("made", show_time(record.created_at)),
        ]
    )


def _chosen(value: float | None) -> str:
    return "by default" if value is None else f"{value:g}"


def _label_list(record: AdapterRecord) -> str:
    shown = ", ".join(show_text(label, _LABEL_WIDTH) for label in record.labels[:_LABELS_SHOWN])
    left = len(record.labels) - _LABELS_SHOWN
    return f"{shown}{f' and {left} more' if left > 0 else ''}{' (several at once)' if record.is_multi_label else ''}"
