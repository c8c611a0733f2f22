"""The processor: its name, its cores and what it can compute with."""

import platform
import sys

import psutil

from puna.domain.hardware import Processor
from puna.hardware.container import read_cpu_limit
from puna.hardware.core_types import count_performance_cores
from puna.hardware.instruction_sets import read_instruction_sets

_REGISTRY_KEY = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"


def read_processor() -> Processor:
    """Return what the system tells. Reads small files and asks no driver; some milliseconds."""
    logical = psutil.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    performance = count_performance_cores()
    return Processor(
        name=_read_name() or platform.processor() or platform.machine(),
        architecture=platform.machine(),
        physical_cores=physical,
        logical_cores=logical,
        performance_cores=performance if performance and performance < physical else None,
        usable_cores=usable_cores(logical, _affinity(), read_cpu_limit()),
        instruction_sets=read_instruction_sets(),
    )


def usable_cores(logical: int, affinity: int | None, limit: float | None) -> float | None:
    """Return the logical cores that this process may use at a time; None where that is all of them. Pure."""
    usable = min(float(logical), float(affinity or logical), limit or float(logical))
    return usable if usable < logical else None


def _affinity() -> int | None:
    process = psutil.Process()
    return len(process.cpu_affinity() or ()) or None if hasattr(process, "cpu_affinity") else None


if sys.platform == "win32":

    def _read_name() -> str:
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _REGISTRY_KEY) as key:
                return " ".join(str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).split())
        except OSError:
            return ""

elif sys.platform == "darwin":

    def _read_name() -> str:
        from puna.hardware.sysctl import read_text

        return read_text("machdep.cpu.brand_string")

else:

    def _read_name() -> str:
        from puna.hardware.cpuinfo import read_cpuinfo

        return read_cpuinfo().name
