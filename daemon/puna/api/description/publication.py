"""The description as it is served: the document and the page, made once, when somebody first asks."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources

from aiohttp import web

import puna
from puna.api.description.document import build_document
from puna.api.description.outline import to_outline
from puna.api.description.page import render_page
from puna.api.dialect import Dialect
from puna.api.encoding import encode_json


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Both, ready to send."""

    document: bytes
    page: bytes
    page_policy: str
    """The page's Content-Security-Policy: its own style and script, by their hashes, and nothing else."""


class Publisher:
    """Makes the publication. One for each application; belongs to the event loop."""

    def __init__(self, dialects: tuple[Dialect, ...], open_dialects: Collection[str]) -> None:
        self._dialects = dialects
        self._open_dialects = open_dialects
        self._lock = asyncio.Lock()
        self._publication: Publication | None = None

    async def publication(self, port: int) -> Publication:
        """Return it. The first call takes a tenth of a second in a thread; `port` is what its examples ask."""
        async with self._lock:
            if self._publication is None:
                self._publication = await asyncio.to_thread(
                    publish, self._dialects, self._open_dialects, f"http://localhost:{port}"
                )
        return self._publication


PUBLISHER: web.AppKey[Publisher] = web.AppKey("publisher")


def publish(dialects: tuple[Dialect, ...], open_dialects: Collection[str], address: str) -> Publication:
    """Make the document and the page. Blocks."""
    document = build_document(dialects, open_dialects)
    files = resources.files(puna) / "assets" / "docs"
    style, script = [(files / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")]
    page = render_page(
        to_outline(document, address), (files / "page.html").read_text(encoding="utf-8"), style, script
    )
    return Publication(
        document=encode_json(document), page=page.encode(), page_policy=_policy_for(style, script)
    )


def _policy_for(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_hash_of(style)}; script-src {_hash_of(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash_of(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
