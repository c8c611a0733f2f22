"""The settings, as they would hold for the next start."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from puna.config import Settings, load
from puna.config.sources import Source
from puna.doctor.finding import Finding, Section, ok, problem, warning
from puna.errors import ConfigError


class Configuration(Struct, frozen=True, kw_only=True):
    """The settings that hold; the defaults where they cannot be read."""

    settings: Settings
    file: Path
    changed: tuple[str, ...] = ()
    """Names of settings that are not at their default."""
    warnings: tuple[str, ...] = ()
    error: str | None = None


def look_at_settings(file: Path, environ: Mapping[str, str]) -> Configuration:
    """Read them as `puna serve` does. Blocks on a small file."""
    try:
        resolved = load(file, environ)
    except ConfigError as error:
        return Configuration(settings=Settings(), file=file, error=error.message)
    changed = (name for name, origin in resolved.origins.items() if origin.source is not Source.DEFAULT)
    return Configuration(
        settings=resolved.settings, file=file, changed=tuple(changed), warnings=tuple(resolved.warnings)
    )


def judge_settings(found: Configuration) -> Finding:
    """Say whether they can be used. Pure."""
    if found.error is not None:
        advice = f"Correct it in {found.file}, or see what can be set: puna config list"
        return problem(Section.DAEMON, "settings", found.error, advice)
    text = f"{', '.join(found.changed)} set" if found.changed else "all at their defaults"
    if found.warnings:
        return warning(
            Section.DAEMON,
            "settings",
            f"{text}; {' '.join(found.warnings)}",
            "Correct the name of the variable, or unset it.",
        )
    return ok(Section.DAEMON, "settings", text)
