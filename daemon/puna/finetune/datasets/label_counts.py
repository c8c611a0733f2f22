"""The labels of a dataset: how often each comes, and what is odd about them."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from puna.domain.datasets import MAX_LABELS, Finding, FindingCode, LabelCount
from puna.finetune.datasets.wording import show_label

FEW_SAMPLES_OF_LABEL = 5
IMBALANCE = 10
"""A label that is so many times rarer than the most frequent one is hardly learnt."""

_ROWS_REMEMBERED = 3
_SHOWN = 3


@dataclass
class _Tally:
    count: int = 0
    rows: list[int] = field(default_factory=list)


class LabelCounts:
    """Counts labels, up to `MAX_LABELS` different ones."""

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}

    def note(self, labels: Sequence[str], row: int) -> bool:
        """Count the labels of a row. Return False where one is too many; it is not counted then."""
        fits = True
        for label in labels:
            tally = self._tallies.get(label)
            if tally is None:
                if len(self._tallies) >= MAX_LABELS:
                    fits = False
                    continue
                tally = self._tallies[label] = _Tally()
            tally.count += 1
            if len(tally.rows) < _ROWS_REMEMBERED:
                tally.rows.append(row)
        return fits

    def counts(self) -> tuple[LabelCount, ...]:
        """Return all labels, the most frequent first."""
        ranked = sorted(self._tallies.items(), key=lambda item: (-item[1].count, item[0]))
        return tuple(LabelCount(label, tally.count) for label, tally in ranked)

    def case_warnings(self) -> tuple[Finding, ...]:
        """Return a warning about labels that are probably the same, if there are any."""
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for each in self.counts():
            groups[_fold(each.label)].append(each.label)
        doubles = [group for group in groups.values() if len(group) > 1]
        if not doubles:
            return ()
        shown = ", ".join(" and ".join(map(self._show, group)) for group in doubles[:_SHOWN])
        more = ", ..." if len(doubles) > _SHOWN else ""
        surplus = [label for group in doubles for label in group[1:]]
        rows = sorted({row for label in surplus for row in self._tallies[label].rows})
        return (
            Finding(
                code=FindingCode.LABELS_DIFFER_BY_CASE,
                message=f"Labels differ only by case or blanks: {shown}{more}; write each in one way.",
                count=len(surplus),
                rows=tuple(rows[:10]),
            ),
        )

    def balance_warnings(self) -> tuple[Finding, ...]:
        """Return warnings about how often labels come; for a dataset that was read to its end."""
        counts = self.counts()
        if len(counts) == 1:
            message = (
                f"All samples have the label {show_label(counts[0].label)}: there is nothing to tell apart."
            )
            return (Finding(code=FindingCode.ONE_LABEL, message=message),)
        return (*_warn_of_imbalance(counts), *_warn_of_rare(counts))

    def _show(self, label: str) -> str:
        return f"{show_label(label)} ({self._tallies[label].count:,})"


def _fold(label: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def _warn_of_imbalance(counts: Sequence[LabelCount]) -> tuple[Finding, ...]:
    rare = [each for each in counts if each.count * IMBALANCE <= counts[0].count]
    if not rare:
        return ()
    common, rarest = counts[0], counts[-1]
    message = (
        f"{show_label(common.label)} has {common.count:,} samples and {show_label(rarest.label)} "
        f"{rarest.count:,}: add samples of the rare labels."
    )
    return (Finding(code=FindingCode.IMBALANCED_LABELS, message=message, count=len(rare)),)


def _warn_of_rare(counts: Sequence[LabelCount]) -> tuple[Finding, ...]:
    rare = [each for each in counts if each.count < FEW_SAMPLES_OF_LABEL]
    if not rare:
        return ()
    shown = ", ".join(f"{show_label(each.label)} ({each.count})" for each in rare[-_SHOWN:])
    more = ", ..." if len(rare) > _SHOWN else ""
    message = f"Fewer than {FEW_SAMPLES_OF_LABEL} samples of {shown}{more}: add some, or leave the label out."
    return (Finding(code=FindingCode.RARE_LABELS, message=message, count=len(rare)),)
