"""Whether this machine can compile llama.cpp, and what its owner does when it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

_BY_FAMILY = {
    "debian": "apt install build-essential",
    "ubuntu": "apt install build-essential",
    "fedora": "dnf install gcc-c++ make",
    "rhel": "dnf install gcc-c++ make",
    "arch": "pacman -S base-devel",
    "suse": "zypper install gcc-c++ make",
    "alpine": "apk add build-base",
}
_MACOS = "xcode-select --install"
_WINDOWS = (
    "install Build Tools for Visual Studio (https://visualstudio.microsoft.com/visual-cpp-build-tools/) "
    'with the workload "Desktop development with C++", for example with: '
    "winget install Microsoft.VisualStudio.2022.BuildTools --override "
    '"--wait --passive --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended"'
)
_SKIP = "PUNA_NO_COMPILER_CHECK"


def missing_compiler() -> str | None:
    """Return what to do when this machine has no C++ compiler, or None when it has one."""
    if os.environ.get(_SKIP) or has_compiler(sys.platform, os.environ, shutil.which, _succeeds):
        return None
    return (
        "There is no C++ compiler, and llama.cpp has to be compiled on this machine.\n"
        f"Get one, then run this again: {advice(sys.platform, _os_release(), is_root=_is_root())}\n"
        f"(Set {_SKIP}=1 where pip finds a ready wheel of llama-cpp-python.)"
    )


def has_compiler(
    platform: str,
    environ: Mapping[str, str],
    which: Callable[[str], str | None],
    succeeds: Callable[[list[str]], bool],
) -> bool:
    """Decide from what the machine answers; `which` finds programs, `succeeds` runs one."""
    if environ.get("CXX"):
        return which(environ["CXX"].split()[0]) is not None
    if platform == "darwin":
        # /usr/bin/c++ is always there; without the tools it only offers to install them.
        return succeeds(["xcode-select", "-p"])
    if platform == "win32":
        return which("cl") is not None or succeeds(_vswhere(environ)) or which("g++") is not None
    return any(which(name) for name in ("c++", "g++", "clang++"))


def advice(platform: str, os_release: str, *, is_root: bool) -> str:
    """Return the command that installs a compiler; `os_release` is the text of /etc/os-release."""
    if platform == "darwin":
        return _MACOS
    if platform == "win32":
        return _WINDOWS
    families = _families(os_release)
    command = next((_BY_FAMILY[name] for name in families if name in _BY_FAMILY), None)
    if command is None:
        return "install g++ or clang with the package manager of this system"
    return command if is_root else f"sudo {command}"


def _families(os_release: str) -> list[str]:
    lines = (line.partition("=") for line in os_release.splitlines())
    values = {name: value.strip().strip("\"'") for name, _, value in lines}
    return f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".lower().split()


def _vswhere(environ: Mapping[str, str]) -> list[str]:
    installer = Path(
        environ.get("ProgramFiles(x86)", "C:/Program Files (x86)"), "Microsoft Visual Studio/Installer"
    )
    component = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
    return [
        str(installer / "vswhere.exe"),
        "-products",
        "*",
        "-requires",
        component,
        "-property",
        "installationPath",
    ]


def _succeeds(command: list[str]) -> bool:
    try:
        result = subprocess.run(command, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return result.returncode == 0 and bool(result.stdout.strip())


def _os_release() -> str:
    try:
        return Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0
