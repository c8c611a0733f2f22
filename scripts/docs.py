"""Write the documents that are generated from the code: python3 scripts/docs.py [--check]

With --check nothing is written; the exit code is 1 when one of them is stale.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from environment import ROOT, enter_environment


def main() -> int:
    """Write or compare all generated documents."""
    enter_environment(__file__, sys.argv[1:])
    documents = _render()
    if "--check" in sys.argv[1:]:
        stale = find_stale(documents, ROOT)
        if stale:
            print(f"Stale: {', '.join(stale)}; run python3 scripts/docs.py")
        return 1 if stale else 0
    for name, text in documents.items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_text(text, encoding="utf-8", newline="\n")
    return 0


def find_stale(documents: Mapping[str, str], root: Path) -> list[str]:
    """Return the documents whose file is missing or says something else."""
    return [name for name, text in documents.items() if _read(root / name) != text]


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def _render() -> dict[str, str]:
    from puna.api.description.reference import render_api_reference
    from puna.app import DIALECTS
    from puna.config.reference import render_reference

    return {"docs/config.md": render_reference(), "docs/api.md": render_api_reference(DIALECTS)}


if __name__ == "__main__":
    sys.exit(main())
