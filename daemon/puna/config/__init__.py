"""The settings: defined once in `settings`, read by `sources`.

settings      the fields with type, default, range and help
definitions   the same as records, and the check of a value
values        values as text
sources       file, environment and flags, with where each value comes from
flags         the command line without a library
editing       `puna config set`, which keeps the comments of the file (imported when used)
reference     docs/config.md
"""

from puna.config.definitions import Kind, Setting, Value, all_settings
from puna.config.settings import LogLevel, Settings
from puna.config.sources import FlagValue, Origin, Resolved, Source, find_setting, load

__all__ = [
    "FlagValue",
    "Kind",
    "LogLevel",
    "Origin",
    "Resolved",
    "Setting",
    "Settings",
    "Source",
    "Value",
    "all_settings",
    "find_setting",
    "load",
]
