"""The GPUs that the operating system knows of: what llama.cpp could use, had it been built for them."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from puna.domain.hardware import GraphicsCard

_VENDORS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel", 0x106B: "Apple", 0x5143: "Qualcomm"}
"""By their PCI number. Everything else is a screen without a GPU to compute on, such as a virtual machine's."""
_DISPLAY, _ACCELERATOR = 0x03, 0x12
"""PCI classes. Some GPUs of data centres call themselves accelerators; so do Intel's NPUs, which are none."""
_NAMES = (Path("/usr/share/hwdata/pci.ids"), Path("/usr/share/misc/pci.ids"))
"""Where distributions keep the table of all PCI devices."""
_REGISTRY_KEY = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
"""Display adapters of Windows."""


def cards_of_linux(sysfs: Path = Path("/sys"), proc: Path = Path("/proc")) -> tuple[GraphicsCard, ...]:
    """Read what the kernel lists on the PCI bus."""
    folders = sorted((sysfs / "bus" / "pci" / "devices").glob("*"))
    return tuple(_card_of_linux(folder, proc) for folder in folders if _is_graphics(folder))


def _is_graphics(folder: Path) -> bool:
    kind, vendor = _hex(folder / "class") >> 16, _hex(folder / "vendor")
    return (kind == _DISPLAY and vendor in _VENDORS) or (
        kind == _ACCELERATOR and _VENDORS.get(vendor) in ("NVIDIA", "AMD")
    )


def _card_of_linux(folder: Path, proc: Path) -> GraphicsCard:
    vendor, device = _hex(folder / "vendor"), _hex(folder / "device")
    told = _read(proc / "driver" / "nvidia" / "gpus" / folder.name / "information")
    models = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("Model:")]
    name = (models[0] if models else "") or _read(folder / "product_name").strip()
    memory = _read(folder / "mem_info_vram_total").strip()
    driver = folder / "driver"
    return GraphicsCard(
        name=name or listed_name(vendor, device) or f"{_VENDORS[vendor]} GPU {vendor:04x}:{device:04x}",
        vendor=_VENDORS[vendor],
        memory_bytes=int(memory) if memory.isdigit() else None,
        driver=driver.resolve().name if driver.exists() else None,
    )


def listed_name(vendor: int, device: int) -> str:
    """Return the name of a PCI device from the distribution's table; empty where neither is there."""
    for file in _NAMES:
        try:
            with file.open(encoding="utf-8", errors="replace") as lines:
                return find_name(lines, vendor, device)
        except OSError:
            continue
    return ""


def find_name(lines: Iterator[str], vendor: int, device: int) -> str:
    """Return the name in a table with a line for each vendor and an indented one for each device. Pure."""
    is_vendor, brand = False, ""
    for line in lines:
        if line[:1] not in ("\t", "#", "\n"):
            is_vendor, brand = line.startswith(f"{vendor:04x} "), line[4:].strip()
        elif is_vendor and line.startswith(f"\t{device:04x} "):
            return f"{brand} {line[5:].strip()}"
    return ""


def card_of_windows(values: Mapping[str, object]) -> GraphicsCard | None:
    """Return the card that the values of its registry key describe; None for a virtual screen. Pure."""
    matching, name = str(values.get("MatchingDeviceId", "")).lower(), values.get("DriverDesc")
    vendors = [maker for number, maker in _VENDORS.items() if f"ven_{number:04x}" in matching]
    if not vendors or not isinstance(name, str):
        return None
    memory = values.get("HardwareInformation.qwMemorySize")
    return GraphicsCard(
        name=name,
        vendor=vendors[0],
        memory_bytes=memory if isinstance(memory, int) and memory > 0 else None,
        driver=str(values.get("DriverVersion") or "") or None,
    )


def cards_of_macos(architecture: str, chip: str) -> tuple[GraphicsCard, ...]:
    """Return the GPU that every Apple chip has; of Macs with Intel's nothing is known without a slow look. Pure."""
    is_apple = architecture == "arm64"
    return (GraphicsCard(name=f"{chip or 'Apple'} GPU", vendor="Apple", driver="Metal"),) if is_apple else ()


def _hex(file: Path) -> int:
    try:
        return int(_read(file).strip() or "0", 16)
    except ValueError:
        return 0


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


if sys.platform == "win32":

    def read_graphics() -> tuple[GraphicsCard, ...]:
        """Return the GPUs of this machine. Reads the registry."""
        return tuple(card for values in _adapters() if (card := card_of_windows(values)))

    def _adapters() -> Iterator[dict[str, object]]:
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _REGISTRY_KEY) as root:
            for index in range(winreg.QueryInfoKey(root)[0]):
                try:
                    with winreg.OpenKey(root, winreg.EnumKey(root, index)) as key:
                        rows = [winreg.EnumValue(key, row) for row in range(winreg.QueryInfoKey(key)[1])]
                except OSError:
                    continue  # `Properties`, which only the system may read
                yield {name: value for name, value, _ in rows}

elif sys.platform == "darwin":

    def read_graphics() -> tuple[GraphicsCard, ...]:
        """Return the GPUs of this machine."""
        import platform

        from puna.hardware.sysctl import read_text

        return cards_of_macos(platform.machine(), read_text("machdep.cpu.brand_string"))

else:

    def read_graphics() -> tuple[GraphicsCard, ...]:
        """Return the GPUs of this machine. Reads small files."""
        return cards_of_linux()
