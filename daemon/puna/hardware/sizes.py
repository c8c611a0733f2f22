"""Amounts of memory, for people. Pure."""

GIB = 1 << 30
MIB = 1 << 20


def show_size(size_bytes: int) -> str:
    """Return a size such as `7.8 GiB`, `139 GiB` or `512 MiB`."""
    if size_bytes >= 100 * GIB:
        return f"{size_bytes / GIB:.0f} GiB"
    if size_bytes >= GIB:
        return f"{size_bytes / GIB:.1f} GiB"
    return f"{size_bytes / MIB:.0f} MiB"
