"""The whole machine, read once; only memory is read again."""

import platform
from functools import cache

from puna.domain.hardware import GraphicsCard, Machine, Processor
from puna.hardware.graphics import read_graphics
from puna.hardware.memory import read_memory
from puna.hardware.processor import read_processor


def read_machine() -> Machine:
    """Return what this machine has. The first call takes some ten milliseconds, later ones below one."""
    system, processor, graphics = _read_lasting()
    return Machine(system=system, processor=processor, memory=read_memory(), graphics=graphics)


@cache
def _read_lasting() -> tuple[str, Processor, tuple[GraphicsCard, ...]]:
    return describe_system(), read_processor(), read_graphics()


def describe_system() -> str:
    """Return the operating system with its version, for people."""
    match platform.system():
        case "Darwin":
            return f"macOS {platform.mac_ver()[0]}"
        case "Windows":
            return f"Windows {platform.release()} ({platform.version()})"
        case _:
            return _describe_linux(platform.release())


def _describe_linux(release: str) -> str:
    version = ".".join(release.split(".")[:2])
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    where = ", in WSL" if "microsoft" in release.lower() else ""
    return f"{platform.system()} {version}{where}" + (f" ({name})" if name else "")
