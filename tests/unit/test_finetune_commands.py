"""What `puna datasets`, `finetune` and `adapters` print, ask for and do when something goes wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from msgspec.structs import replace

import puna.cli.adapters
import puna.cli.datasets
import puna.cli.exporting
import puna.cli.finetune
from fakes.canned_control import CannedControl, run_canned_control
from puna.cli.dataset_report import dataset_row, report_lines, summary
from puna.cli.finetune import to_settings
from puna.cli.finetune_progress import Bar, Lines, speed
from puna.cli.finetune_words import (
    accuracy_of,
    adapter_lines,
    adapter_row,
    evaluation_change,
    job_row,
    outcome,
    plan_lines,
    stage,
)
from puna.domain.datasets import (
    Dataset,
    DatasetFormat,
    DatasetReport,
    Finding,
    FindingCode,
    LabelCount,
    SampleKind,
)
from puna.domain.finetune import AdapterRecord, FinetuneJob, FinetuneOrder, FinetuneState
from puna.domain.training import (
    Evaluation,
    TrainingEstimate,
    TrainingPlan,
    TrainingProgress,
    TrainingSettings,
)
from puna.finetune_client import FinetuneClient
from unit.conftest import Run

DATASET = "ds_0123456789abcdef_csv"
ADAPTER = "ft_model_0123456789ab"
JOB = "ft_1"

REPORT = DatasetReport(
    format=DatasetFormat.CSV,
    kind=SampleKind.LABELLED,
    size_bytes=2_500,
    rows=12,
    samples=10,
    characters=500,
    longest_characters=80,
    labels=(LabelCount("good", 6), LabelCount("bad\x1b[31m", 3), LabelCount("Good", 1)),
    ignored_columns=("date",),
    dropped=(
        Finding(
            code=FindingCode.EMPTY_ROW, message="Nothing in 2 rows (4, 9); dropped.", count=2, rows=(4, 9)
        ),
    ),
    warnings=(
        Finding(
            code=FindingCode.LABELS_DIFFER_BY_CASE,
            message="Labels differ only by case or blanks: `good` (6) and `Good` (1); write each in one way.",
            rows=(7,),
        ),
    ),
)
FAULTY = DatasetReport(
    format=DatasetFormat.CSV,
    kind=None,
    size_bytes=90,
    rows=3,
    samples=0,
    characters=0,
    longest_characters=0,
    errors=(
        Finding(
            code=FindingCode.MISSING_LABEL, message="No label in row 3; give each text a label.", rows=(3,)
        ),
    ),
)
KEPT = Dataset(
    id=DATASET,
    name="reviews.csv",
    sha256="a" * 64,
    format=DatasetFormat.CSV,
    size_bytes=2_500,
    added_at=0,
    report=REPORT,
)
PLAN = TrainingPlan(
    architecture="llama",
    samples=10,
    too_long=2,
    too_long_rows=(1, 5),
    without_answer=0,
    tokens=1_200,
    answer_tokens=40,
    row_length=256,
    rows=5,
    steps=15,
    first_step=0,
    parameters=70_000,
    threads=2,
    notes=("The copies are in Q8_0.",),
    estimate=TrainingEstimate(seconds=75, memory_bytes=800_000_000),
)
PROGRESS = TrainingProgress(
    step=5, steps=15, epoch=1.0, loss=1.2345, learning_rate=1e-4, tokens_per_s=1_520.4, seconds_left=50
)
BEFORE = Evaluation(samples=4, loss=2.5, exact=0, choices=4, right=1)
AFTER = Evaluation(samples=4, loss=0.02, exact=4, choices=4, right=4)
QUEUED = FinetuneJob(
    id=JOB,
    adapter_id=ADAPTER,
    order=FinetuneOrder(model="demo", dataset=DATASET),
    state=FinetuneState.QUEUED,
    created_at=0,
)
TRAINING = replace(QUEUED, state=FinetuneState.TRAINING, plan=PLAN, progress=PROGRESS)
DONE = replace(TRAINING, state=FinetuneState.DONE, before=BEFORE, after=AFTER)
RECORD = AdapterRecord(
    id=ADAPTER,
    name="mine",
    base_id="demo",
    base_sha256="b" * 64,
    base_architecture="llama",
    dataset_id=DATASET,
    dataset_sha256="a" * 64,
    kind=SampleKind.LABELLED,
    labels=("good", "bad"),
    settings=TrainingSettings(epochs=3.0, learning_rate=2e-4),
    steps=15,
    loss=0.1,
    before=BEFORE,
    after=AFTER,
    seconds=61.0,
    size_bytes=300_000,
    created_at=0,
)


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedControl]:
    """What the commands talk to."""
    with run_canned_control() as (control, endpoint):
        for module in (puna.cli.adapters, puna.cli.datasets, puna.cli.exporting, puna.cli.finetune):
            monkeypatch.setattr(module, "connect_finetunes", lambda _: FinetuneClient(endpoint))
        yield control


# Datasets


def test_a_report_is_read_from_top_to_bottom() -> None:
    assert report_lines(REPORT) == [
        "format         csv",
        "size           2.5 kB",
        "rows           12",
        "samples        10 texts with labels",
        "longest        80 characters",
        "not looked at  date",
        "labels",
        "  good           6   60 %  " + "#" * 30,
        "  bad\ufffd[31m       3   30 %  " + "#" * 15,
        "  Good           1   10 %  " + "#" * 5,
        "dropped: Nothing in 2 rows (4, 9); dropped.",
        "warning: Labels differ only by case or blanks: `good` (6) and `Good` (1); write each in one way. (row 7)",
    ]


def test_labels_of_wide_characters_stay_in_their_column() -> None:
    labels = (LabelCount("良い", 2), LabelCount("bad", 1))
    lines = report_lines(replace(REPORT, labels=labels, samples=3))
    begin = lines.index("labels") + 1
    assert [line.partition("#")[0] for line in lines[begin : begin + 2]] == [
        "  良い       2   67 %  ",
        "  bad        1   33 %  ",
    ]


def test_many_labels_are_cut() -> None:
    labels = tuple(LabelCount(f"label {number}", 1) for number in range(25))
    lines = report_lines(replace(REPORT, labels=labels, warnings=(), dropped=()))
    assert (len([line for line in lines if "#" in line]), lines[-1]) == (20, "  and 5 more")


def test_a_dataset_is_a_row_and_a_sentence() -> None:
    assert dataset_row(KEPT) == (DATASET, "reviews.csv", "texts with labels", "10", "3", "2.5 kB", "1")
    assert summary(KEPT).startswith(f"{DATASET} holds 10 samples with 3 labels; ")


def test_a_file_is_added_by_its_whole_path_and_its_report_shown(
    puna: Run, control: CannedControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    control.answer("POST /puna/v1/datasets", KEPT, 201)
    ended = puna("datasets", "add", "reviews.csv")
    assert ended.code == 0
    assert control.body_of("POST /puna/v1/datasets") == {
        "path": str(tmp_path / "reviews.csv"),
        "format": None,
    }
    assert "warning: Labels differ" in ended.out
    assert ended.out.splitlines()[-1] == summary(KEPT)


def test_a_faulty_file_is_refused_with_its_rows(puna: Run, control: CannedControl) -> None:
    refusal = {"detail": "No label in row 3.", "error": "No label in row 3.", "report": FAULTY}
    control.answer("POST /puna/v1/datasets", refusal, 400)
    ended = puna("datasets", "add", "bad.csv")
    assert (ended.code, ended.err) == (1, "puna: No label in row 3.\n")
    assert "error: No label in row 3; give each text a label." in ended.out


def test_datasets_are_listed_shown_and_removed(puna: Run, control: CannedControl) -> None:
    control.answer("GET /puna/v1/datasets", {"datasets": []})
    assert "There are no datasets" in puna("datasets", "ls").out
    control.answer("GET /puna/v1/datasets", {"datasets": [KEPT]})
    assert DATASET in puna("datasets", "ls").out
    control.answer(f"GET /puna/v1/datasets/{DATASET}", KEPT)
    assert "sha256         aaaa" in puna("datasets", "show", DATASET).out
    control.answer(f"DELETE /puna/v1/datasets/{DATASET}", KEPT)
    assert puna("datasets", "rm", DATASET).out.startswith(f"The dataset {DATASET} is removed")


# Fine-tuning


def test_a_plan_is_told_with_its_cost() -> None:
    assert plan_lines(PLAN) == [
        "samples        10 (2 too long for a row, left out)",
        "tokens         1.2k, 40 of them to be learnt",
        "steps          15 rows of 256 tokens",
        "epochs         3, at a learning rate of 0.0002",
        "adapter        70k numbers",
        "takes          about 1 min 15 s on 2 threads",
        "memory         800.0 MB at its peak",
        "note: The copies are in Q8_0.",
    ]
    assert "steps          15 rows of 256 tokens, 5 of them done before" in plan_lines(
        replace(PLAN, first_step=5)
    )


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (
            DONE,
            f"{ADAPTER} is there: accuracy 25.0 % before, 100.0 % after, loss 2.500 before, 0.020 after, "
            f"on 4 samples kept apart; `puna run {ADAPTER}` uses it.",
        ),
        (replace(DONE, before=None), f"{ADAPTER} is there; `puna run {ADAPTER}` uses it."),
        (
            replace(TRAINING, state=FinetuneState.FAILED, error="The disk is full.", has_checkpoint=True),
            f"The training {JOB} failed: The disk is full. `puna finetune --resume {JOB}` goes on from its checkpoint.",
        ),
        (replace(TRAINING, state=FinetuneState.CANCELLED), f"The training {JOB} is cancelled."),
        (
            TRAINING,
            f"The training {JOB} goes on in the background: `puna finetune --follow {JOB}` shows it, "
            f"`puna finetune --cancel {JOB}` ends it.",
        ),
    ],
)
def test_each_end_is_a_sentence(job: FinetuneJob, sentence: str) -> None:
    assert outcome(job) == sentence


def test_without_choices_the_loss_is_told_alone() -> None:
    before, after = replace(BEFORE, choices=0, right=0), replace(AFTER, choices=0, right=0)
    assert evaluation_change(before, after) == "loss 2.500 before, 0.020 after, on 4 samples kept apart"
    assert accuracy_of(after) == accuracy_of(None) == "-"
    assert evaluation_change(before, replace(after, samples=0)) == ""


def test_a_training_tells_its_stage_and_speed() -> None:
    assert [stage(QUEUED), stage(replace(QUEUED, state=FinetuneState.PREPARING))] == ["waiting", "preparing"]
    assert (stage(TRAINING), speed(TRAINING)) == ("loss 1.234", "1.5k tokens/s, 50 s left")
    assert stage(replace(TRAINING, progress=replace(PROGRESS, step=15))) == "measuring"
    assert speed(QUEUED) == ""
    assert job_row(TRAINING) == (JOB, "-", "demo", DATASET, "training", "33 %", "1.234", ADAPTER)


def test_options_become_settings() -> None:
    given = to_settings(epochs=2.0, rank=8, alpha=None, targets="attn_q, attn_v", row_length=512)
    assert given == TrainingSettings(epochs=2.0, rank=8, targets=("attn_q", "attn_v"), row_length=512)
    with pytest.raises(typer.BadParameter, match="a multiple of 256") as refused:
        to_settings(targets=None, row_length=300)
    assert refused.value.param_hint == "--row-length"


def test_a_training_is_followed_to_its_end(puna: Run, control: CannedControl, tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\n")
    control.answer("POST /puna/v1/datasets", KEPT, 201)
    control.answer("POST /puna/v1/finetunes", QUEUED, 201)
    control.stream(f"GET /puna/v1/finetunes/{JOB}?follow=1", QUEUED, TRAINING, DONE)
    ended = puna("finetune", "--model", "demo", "--data", str(file), "--epochs", "2", "--name", "mine")
    assert ended.code == 0
    assert ended.out == outcome(DONE) + "\n"
    assert ended.err.splitlines() == [
        "puna: waiting",
        *(f"puna: {line}" for line in plan_lines(PLAN)),
        "puna: 30 %, loss 1.234, 1.5k tokens/s, 50 s left",
    ]
    sent: Any = control.body_of("POST /puna/v1/finetunes")
    assert (sent["model"], sent["dataset"], sent["name"], sent["dry_run"]) == ("demo", DATASET, "mine", False)
    assert (sent["epochs"], sent["rank"]) == (2.0, 16)


def test_the_plan_of_an_earlier_attempt_is_not_told(puna: Run, control: CannedControl) -> None:
    resumed = replace(QUEUED, plan=replace(PLAN, first_step=5))
    control.answer(f"POST /puna/v1/finetunes/{JOB}/resume", resumed)
    control.stream(f"GET /puna/v1/finetunes/{JOB}?follow=1", resumed, TRAINING, DONE)
    told = puna("finetune", "--resume", JOB).err
    assert told.count("steps   ") == 1
    assert "of them done before" not in told


def test_a_dry_run_tells_the_plan_and_begins_nothing(puna: Run, control: CannedControl) -> None:
    control.answer("POST /puna/v1/finetunes", {"plan": PLAN})
    ended = puna("finetune", "--model", "demo", "--data", DATASET, "--dry-run")
    assert ended.out.splitlines() == plan_lines(PLAN)
    sent: Any = control.body_of("POST /puna/v1/finetunes")
    assert sent["dry_run"] is True


def test_ctrl_c_ends_only_the_showing(
    puna: Run, control: CannedControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> Iterator[FinetuneJob]:
        yield TRAINING
        raise KeyboardInterrupt

    monkeypatch.setattr(FinetuneClient, "follow", interrupt)
    control.answer("POST /puna/v1/finetunes", TRAINING, 201)
    ended = puna("finetune", "--model", "demo", "--data", DATASET)
    assert ended.code == 130
    assert f"puna: {outcome(TRAINING)}\n" in ended.err
    assert [route for route, _ in control.asked] == ["POST /puna/v1/finetunes"]


def test_a_daemon_that_stops_meanwhile_is_told(puna: Run, control: CannedControl) -> None:
    control.answer(f"GET /puna/v1/finetunes/{JOB}", TRAINING)
    control.stream(f"GET /puna/v1/finetunes/{JOB}?follow=1", TRAINING)
    ended = puna("finetune", "--follow", JOB)
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith(f"puna: Puna stopped. The training {JOB} goes on when")


def test_a_failed_training_is_a_failed_command(puna: Run, control: CannedControl) -> None:
    failed = replace(TRAINING, state=FinetuneState.FAILED, error="The disk is full.")
    control.answer(f"POST /puna/v1/finetunes/{JOB}/resume", TRAINING)
    control.stream(f"GET /puna/v1/finetunes/{JOB}?follow=1", TRAINING, failed)
    ended = puna("finetune", "--resume", JOB)
    assert ended.code == 1
    assert ended.err.endswith(f"puna: The training {JOB} failed: The disk is full.\n")


def test_a_training_is_begun_without_waiting_listed_and_cancelled(puna: Run, control: CannedControl) -> None:
    control.answer("POST /puna/v1/finetunes", QUEUED, 201)
    assert puna("finetune", "-m", "demo", "-d", DATASET, "--detach").out == outcome(QUEUED) + "\n"
    control.answer("GET /puna/v1/finetunes", {"finetunes": [TRAINING]})
    assert ADAPTER in puna("finetune", "--list").out
    cancelled = replace(TRAINING, state=FinetuneState.CANCELLED, has_checkpoint=True)
    control.answer(f"POST /puna/v1/finetunes/{JOB}/cancel", cancelled)
    assert "--resume" in puna("finetune", "--cancel", JOB, "--keep").out
    assert control.body_of(f"POST /puna/v1/finetunes/{JOB}/cancel") == {"keeps_checkpoint": True}


def test_a_bar_is_drawn_without_fail(capsys: pytest.CaptureFixture[str]) -> None:
    for display in (Bar(), Lines()):
        with display:
            display.say("[a plan]")
            for job in (QUEUED, TRAINING, TRAINING, DONE):
                display.show(job)
    told = capsys.readouterr().err
    assert told.count("[a plan]") == 2
    assert told.count("puna: 30 %") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("finetune",), "Name a base with --model"),
        (("finetune", "-m", "demo", "-d", DATASET, "--rank", "0"), "a whole number from 1 to 256"),
        (("finetune", "-m", "demo", "-d", DATASET, "--targets", "wq"), "some of attn_q"),
        (("finetune", "-m", "demo", "-d", DATASET, "--keep"), "--keep is for --cancel"),
        (("finetune", "--resume", JOB, "--cancel", JOB), "one of --list, --follow, --resume and --cancel"),
    ],
)
def test_wrong_use_is_told(
    puna: Run, control: CannedControl, arguments: tuple[str, ...], complaint: str
) -> None:
    ended = puna(*arguments)
    assert ended.code == 2
    assert complaint in ended.err
    assert control.asked == []


# Adapters


def test_an_adapter_is_a_row_and_facts() -> None:
    assert adapter_row(RECORD)[:6] == (ADAPTER, "mine", "demo", "100.0 %", "0.020", "300.0 kB")
    lines = adapter_lines(RECORD)
    assert "labels         good, bad" in lines
    assert "training       15 steps in 1 min 1 s, loss 0.100" in lines
    assert "settings       epochs 3, learning rate 0.0002, rank 16, alpha 32, seed 1" in lines


def test_adapters_are_listed_shown_exported_and_removed(
    puna: Run, control: CannedControl, tmp_path: Path
) -> None:
    control.answer("GET /puna/v1/adapters", {"adapters": []})
    assert "There are no adapters" in puna("adapters", "ls").out
    control.answer("GET /puna/v1/adapters", {"adapters": [RECORD]})
    assert ADAPTER in puna("adapters", "ls").out
    control.answer(f"GET /puna/v1/adapters/{ADAPTER}", RECORD)
    assert "base           demo (llama)" in puna("adapters", "show", ADAPTER).out
    control.answers[f"GET /puna/v1/adapters/{ADAPTER}/file"] = (200, "application/octet-stream", b"GGUF1234")
    target = tmp_path / "mine.gguf"
    exported = puna("adapters", "export", ADAPTER, str(target))
    assert exported.out.startswith(f"{target} holds the adapter (8 B)")
    assert target.read_bytes() == b"GGUF1234"
    again = puna("adapters", "export", ADAPTER, str(target))
    assert (again.code, again.err) == (1, f"puna: {target} is there already; name a new file.\n")
    nowhere = puna("adapters", "export", ADAPTER, str(tmp_path / "no" / "file"))
    assert nowhere.err.endswith("cannot be written: No such file or directory.\n")
    control.answer(f"DELETE /puna/v1/adapters/{ADAPTER}", RECORD)
    assert puna("adapters", "rm", ADAPTER).out.startswith(f"The adapter {ADAPTER} is deleted")
    gone = puna("adapters", "show", "ft_model_nope")
    assert (gone.code, gone.err) == (1, "puna: Not Found\n")


@pytest.mark.parametrize("command", ["datasets", "finetune", "adapters"])
def test_every_command_has_help_with_examples(puna: Run, command: str) -> None:
    ended = puna(command, "--help")
    assert ended.code == 0
    assert f"puna {command}" in ended.out


@pytest.mark.parametrize("arguments", [("datasets", "ls"), ("finetune", "--list"), ("adapters", "ls")])
def test_without_a_daemon_the_next_step_is_told(puna: Run, arguments: tuple[str, ...]) -> None:
    ended = puna(*arguments)
    assert (ended.code, ended.err) == (3, "puna: Puna does not run; `puna start` starts it.\n")
