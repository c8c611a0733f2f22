"""Whether llama.cpp can use a GPU of this machine, and what to do where it cannot. Pure."""

from collections.abc import Sequence

from puna.domain.hardware import GpuUse, GraphicsCard, LlamaBuild
from puna.hardware.installing import rebuild_command
from puna.hardware.sizes import GIB

_OPTIONS = {"NVIDIA": "CUDA", "Apple": "METAL"}
"""llama.cpp's build option by the card's vendor; the others are served by Vulkan."""
_WORTH_BYTES = 2 * GIB
"""A card with less memory of its own than this is part of the processor, and hardly faster than its cores."""


def judge_gpus(build: LlamaBuild | None, cards: Sequence[GraphicsCard], *, is_bundle: bool = False) -> GpuUse:
    """Say whether models can run on a GPU, why not, and what would change it.

    `is_bundle` is whether Puna was installed as one program, which brings its own llama.cpp.
    """
    if build is None:
        return GpuUse(is_possible=False, is_known=False, reason="llama.cpp has not told yet what it can use")
    if build.gpus:
        names = join_names([device.description or device.name for device in build.gpus])
        return GpuUse(is_possible=True, reason=f"llama.cpp can use {names}")
    if build.gpu_backends:
        return _nothing_found(build, cards)
    return _not_built(cards, is_bundle=is_bundle)


def is_worthwhile(card: GraphicsCard) -> bool:
    """Whether a model runs much faster on this card than on the processor."""
    return card.vendor in _OPTIONS or (card.memory_bytes or 0) >= _WORTH_BYTES


def join_names(names: Sequence[str]) -> str:
    """Return `a`, `a and b` or `a, b and c`; what is there more than once is counted: `2 x a`."""
    counts = {name: list(names).count(name) for name in names}
    shown = [name if count == 1 else f"{count} x {name}" for name, count in counts.items()]
    return " and ".join([*([", ".join(shown[:-1])] if shown[1:] else []), *shown[-1:]])


def _nothing_found(build: LlamaBuild, cards: Sequence[GraphicsCard]) -> GpuUse:
    said = f" ({build.complaint})" if build.complaint else ""
    reason = f"this llama.cpp can use {join_names(build.gpu_backends)}, but finds no GPU for it{said}"
    worthwhile = [card for card in cards if is_worthwhile(card)]
    if not worthwhile:
        return GpuUse(is_possible=False, reason=reason)
    names = join_names([card.name for card in worthwhile])
    return GpuUse(
        is_possible=False,
        reason=f"{reason}, though the system has {names}",
        advice=f"Install or update the driver of {names}, and restart the machine.",
    )


def _not_built(cards: Sequence[GraphicsCard], *, is_bundle: bool) -> GpuUse:
    reason = "this llama.cpp was built for the CPU alone"
    worthwhile = next((card for card in cards if is_worthwhile(card)), None)
    if worthwhile is None:
        known = f", and {join_names([card.name for card in cards])} would be hardly faster" if cards else ""
        return GpuUse(is_possible=False, reason=reason + (known or ", and the system shows no GPU"))
    return GpuUse(
        is_possible=False,
        reason=f"{reason}, so {worthwhile.name} is not used",
        advice=_how_to_build(worthwhile, is_bundle=is_bundle),
    )


def _how_to_build(card: GraphicsCard, *, is_bundle: bool) -> str:
    option = _OPTIONS.get(card.vendor, "VULKAN")
    if is_bundle:
        return f"Install the build of Puna for {option.title() if option != 'CUDA' else option} to use {card.name}."
    return f"Build llama.cpp for {card.name}: {rebuild_command(option)}"
