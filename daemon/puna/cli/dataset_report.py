"""A dataset's report as people read it. Pure."""

from collections.abc import Iterable, Sequence

from puna.cli.figures import in_columns, padded, show_size, width_of
from puna.domain.datasets import Dataset, DatasetReport, Finding, FindingCode, LabelCount, SampleKind
from puna.finetune.datasets.wording import show_text

_LABELS_SHOWN = 20
_BAR_WIDTH = 30
_NAME_WIDTH = 40
_KINDS = {
    SampleKind.LABELLED: "texts with labels",
    SampleKind.PLAIN_TEXT: "plain texts",
    SampleKind.COMPLETION: "prompts with completions",
    SampleKind.CONVERSATION: "conversations",
}


def dataset_lines(dataset: Dataset) -> list[str]:
    """Return all there is to say of a stored dataset, line by line."""
    facts = [("dataset", dataset.id), ("name", dataset.name), ("sha256", dataset.sha256)]
    return [*in_columns(facts), *report_lines(dataset.report)]


def report_lines(report: DatasetReport) -> list[str]:
    """Return what was found, line by line: counts, labels, then what is wrong with which rows."""
    return [
        *in_columns(_facts(report)),
        *_label_lines(report.labels, report.samples),
        *_finding_lines("error", report.errors),
        *_finding_lines("dropped", report.dropped),
        *_finding_lines("warning", report.warnings),
    ]


def summary(dataset: Dataset) -> str:
    """Return one sentence on a dataset that was added."""
    report = dataset.report
    labels = f" with {len(report.labels)} labels" if report.labels else ""
    return f"{dataset.id} holds {report.samples} samples{labels}; `puna finetune --data {dataset.id}` trains on it."


def dataset_row(dataset: Dataset) -> tuple[str, ...]:
    """Return the cells of a dataset's row."""
    report = dataset.report
    return (
        dataset.id,
        dataset.name or "-",
        _KINDS[report.kind] if report.kind else "-",
        str(report.samples),
        str(len(report.labels)) if report.labels else "-",
        show_size(dataset.size_bytes),
        str(len(report.warnings)) if report.warnings else "-",
    )


def _facts(report: DatasetReport) -> list[tuple[str, str]]:
    ignored = ", ".join(show_text(column, _NAME_WIDTH) for column in report.ignored_columns)
    kind = _KINDS[report.kind] if report.kind else ""
    return [
        ("format", str(report.format) if report.format else ""),
        ("size", show_size(report.size_bytes)),
        ("rows", str(report.rows) if report.rows else ""),
        ("samples", f"{report.samples} {kind}".strip() if report.samples else ""),
        ("longest", f"{report.longest_characters} characters" if report.longest_characters else ""),
        ("several labels", "in some rows" if report.is_multi_label else ""),
        ("not looked at", ignored),
    ]


def _label_lines(labels: Sequence[LabelCount], samples: int) -> list[str]:
    """Return a bar for each of the most frequent labels."""
    if not labels:
        return []
    shown = [(show_text(each.label, _NAME_WIDTH), each.count) for each in labels[:_LABELS_SHOWN]]
    width, most = max(width_of(name) for name, _ in shown), max(1, labels[0].count)
    lines = [
        f"  {padded(name, width)}  {count:6}  {_share(count, samples):>5}  {'#' * max(1, _BAR_WIDTH * count // most)}"
        for name, count in shown
    ]
    left = len(labels) - len(shown)
    return ["labels", *lines, *([f"  and {left} more"] if left else [])]


def _share(count: int, samples: int) -> str:
    return f"{round(100 * count / samples)} %" if samples else "-"


def _finding_lines(title: str, findings: Iterable[Finding]) -> list[str]:
    return [f"{title}: {finding.message}{_rows(finding)}" for finding in findings]


def _rows(finding: Finding) -> str:
    """Return the numbers of the rows where the sentence does not name them."""
    if finding.code is not FindingCode.LABELS_DIFFER_BY_CASE or not finding.rows:
        return ""
    word = "row" if len(finding.rows) == 1 else "rows"
    return f" ({word} {', '.join(map(str, finding.rows))})"
