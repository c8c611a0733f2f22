"""Which of the instruction sets that llama.cpp can use a processor has, under llama.cpp's names."""

import ctypes
import sys
from collections.abc import Collection

_OF_LINUX = {
    "pni": "SSE3",
    "ssse3": "SSSE3",
    "avx": "AVX",
    "avx_vnni": "AVX_VNNI",
    "avx2": "AVX2",
    "f16c": "F16C",
    "fma": "FMA",
    "bmi2": "BMI2",
    "avx512f": "AVX512",
    "avx512vbmi": "AVX512_VBMI",
    "avx512_vnni": "AVX512_VNNI",
    "avx512_bf16": "AVX512_BF16",
    "amx_int8": "AMX_INT8",
    "asimd": "NEON",
    "asimdhp": "FP16_VA",
    "asimddp": "DOTPROD",
    "i8mm": "MATMUL_INT8",
    "sve": "SVE",
    "sme": "SME",
}
"""By the flags of /proc/cpuinfo, x86 and Arm."""
_OF_MACOS = {
    "hw.optional.avx1_0": "AVX",
    "hw.optional.avx2_0": "AVX2",
    "hw.optional.f16c": "F16C",
    "hw.optional.fma": "FMA",
    "hw.optional.avx512f": "AVX512",
    "hw.optional.arm.AdvSIMD": "NEON",
    "hw.optional.arm.FEAT_DotProd": "DOTPROD",
    "hw.optional.arm.FEAT_I8MM": "MATMUL_INT8",
    "hw.optional.arm.FEAT_SME": "SME",
}
"""By the names of sysctl."""
_OF_WINDOWS = {13: "SSE3", 36: "SSSE3", 39: "AVX", 40: "AVX2", 41: "AVX512", 19: "NEON", 43: "DOTPROD"}
"""By the numbers of IsProcessorFeaturePresent (winnt.h)."""
COSTLY_TO_MISS = frozenset({"AVX", "AVX2", "FMA", "F16C", "NEON", "DOTPROD"})
"""What makes llama.cpp several times slower where a build leaves it out."""


def from_linux_flags(flags: Collection[str]) -> tuple[str, ...]:
    """Return llama.cpp's names for the flags of /proc/cpuinfo, the others left out. Pure."""
    return tuple(name for flag, name in _OF_LINUX.items() if flag in flags)


def unused_sets(present: Collection[str], used: Collection[str]) -> tuple[str, ...]:
    """Return what the processor has and a build does not use; nothing where the one or the other is not known. Pure."""
    return tuple(name for name in present if name not in used) if used else ()


if sys.platform == "win32":

    def read_instruction_sets() -> tuple[str, ...]:
        """Ask the system."""
        is_there = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return tuple(name for number, name in _OF_WINDOWS.items() if is_there(number))

elif sys.platform == "darwin":

    def read_instruction_sets() -> tuple[str, ...]:
        """Ask the system."""
        from puna.hardware.sysctl import read_number

        return tuple(name for key, name in _OF_MACOS.items() if read_number(key))

else:

    def read_instruction_sets() -> tuple[str, ...]:
        """Read /proc/cpuinfo; empty where there is none."""
        from puna.hardware.cpuinfo import read_cpuinfo

        return from_linux_flags(read_cpuinfo().flags)
