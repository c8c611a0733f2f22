"""What one look found, and all of them together."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from puna.domain.hardware import Hardware
from puna.redaction import redact


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Puna works; something is slower, missing or less safe than it could be."""
    PROBLEM = "problem"
    """Something does not work until it is mended."""


class Section(StrEnum):
    """Where a finding stands in the table, in this order."""

    MACHINE = "Machine"
    ENGINE = "llama.cpp"
    DAEMON = "Puna"
    FILES = "Files"
    MODELS = "Models"
    NETWORK = "Network"


class Finding(Struct, frozen=True):
    """One line of the table."""

    section: Section
    subject: str
    """One or two words; with the section it names the line, also for programs."""
    verdict: Verdict
    text: str
    advice: str | None = None
    """A sentence or a command: what to do. Every warning and problem has one, nothing that is ok."""


class Report(Struct, frozen=True, kw_only=True):
    """All findings, in the order of the sections."""

    verdict: Verdict
    version: str
    findings: tuple[Finding, ...]
    hardware: Hardware | None = None
    """What the running daemon tells, or else what could be found out without it."""

    @property
    def to_do(self) -> list[str]:
        """What to do, problems first, nothing twice."""
        urgent = sorted(self.findings, key=lambda finding: finding.verdict is not Verdict.PROBLEM)
        return list(dict.fromkeys(finding.advice for finding in urgent if finding.advice))


def make_report(findings: Sequence[Finding], version: str, hardware: Hardware | None) -> Report:
    """Return the findings in order, with whatever looks like a secret taken out. Pure."""
    order = list(Section)
    sections = sorted(findings, key=lambda finding: order.index(finding.section))
    return Report(
        verdict=worst_of(finding.verdict for finding in findings),
        version=version,
        findings=tuple(_redacted(finding) for finding in sections),
        hardware=hardware,
    )


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst; ok where there is none. Pure."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.OK)


def ok(section: Section, subject: str, text: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(section, subject, Verdict.OK, text)


def warning(section: Section, subject: str, text: str, advice: str) -> Finding:
    """Return a finding that Puna works with."""
    return Finding(section, subject, Verdict.WARNING, text, advice)


def problem(section: Section, subject: str, text: str, advice: str) -> Finding:
    """Return a finding that must be mended."""
    return Finding(section, subject, Verdict.PROBLEM, text, advice)


def begin_upper(clause: str) -> str:
    """Return a clause as the begin of a sentence. Pure."""
    return clause[:1].upper() + clause[1:]


def _redacted(finding: Finding) -> Finding:
    return Finding(
        finding.section,
        finding.subject,
        finding.verdict,
        redact(finding.text),
        redact(finding.advice) if finding.advice else None,
    )
