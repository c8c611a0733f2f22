"""llama.cpp's line about its back ends, as facts. Pure."""

from collections.abc import Sequence

from puna.domain.hardware import Backend

_SEPARATOR, _BEGINS, _IS = "|", " : ", " = "
_OFF = frozenset({"0", "", "OFF", "false"})


def read_backends(line: str, registered: Sequence[str]) -> tuple[Backend, ...]:
    """Return the registered back ends with their features from `llama_print_system_info`.

    The line is `CPU : AVX = 1 | AVX2 = 1 | CUDA : ARCHS = 890 | `: a name begins the features of each back end
    that has any, and what is off is left out or 0.
    """
    features: dict[str, list[str]] = {name: [] for name in registered}
    current: list[str] = []
    for item in line.split(_SEPARATOR):
        name, begins, rest = item.rpartition(_BEGINS)
        if begins:
            current = features.setdefault(name.strip(), [])
        feature, is_there, value = (part.strip() for part in rest.partition(_IS))
        if is_there and value not in _OFF:
            current.append(feature if value == "1" else f"{feature}={value}")
    return tuple(Backend(name, tuple(found)) for name, found in features.items())
