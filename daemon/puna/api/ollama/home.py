"""GET /: the three words that Ollama's own programs look for before they ask for anything else."""

from collections.abc import Collection

from aiohttp import web

from puna.api.head import RequestHead


async def say_running(_: web.Request) -> web.Response:
    """GET /: whether Ollama is there; others than its own programs get LocalLab's answer."""
    return web.Response(text="Ollama is running", headers={"Vary": "Accept, User-Agent"})


def is_ollama_s(head: RequestHead, _: Collection[str]) -> bool:
    """Whether one of Ollama's programs asks: who else does cannot be told from LocalLab's clients."""
    return (head.header("User-Agent") or "").lower().startswith("ollama")
