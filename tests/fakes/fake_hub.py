"""A Hugging Face Hub on loopback: search, listings, metadata, and content from a CDN of another origin.

In a test: `async with run_fake_hub() as hub`, with `hub.knobs` for what goes wrong and `hub.asked` for what came.
As a program (`python fake_hub.py FOLDER`): one repository for each folder `ORG/NAME` with files in it, of which
`base.txt` names what it is a conversion of; prints its address; `POST /_knobs` sets knobs, `GET /_asked` tells what
came.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

COMMIT = "c0ffee" + "0" * 34
GOOD_TOKEN = "hf_owner0123456789"
STRANGER_TOKEN = "hf_stranger0123456789"
"""Valid, but not of somebody who accepted the licence."""
BAD_TOKEN = "hf_bad0123456789"


@dataclass
class Repo:
    """A repository with one commit."""

    files: dict[str, bytes]
    is_gated: bool = False
    is_private: bool = False
    is_disabled: bool = False
    downloads: int = 1
    licence: str = "apache-2.0"
    base: str | None = None
    """What it is a quantised conversion of."""
    told_id: str = ""
    """Its name by now, where that is not the one under which it is asked for."""


@dataclass
class Knobs:
    """What goes wrong. Counts and one-time faults run out as they happen."""

    rate_limited: int = 0
    statuses: list[int] = field(default_factory=list)
    """Of the next questions to the Hub."""
    cdn_statuses: list[int] = field(default_factory=list)
    """Of the next requests for content; 403 is how an expired signature is told."""
    cut_after: int | None = None
    """Cut the connection after so many bytes of an answer, once."""
    cuts_always: bool = False
    stall_after: int | None = None
    """Send nothing any more after so many bytes of an answer, once."""
    hang: bool = False
    """Answer nothing at all."""
    ignores_ranges: bool = False
    size_lie: int = 0
    """The metadata says so many bytes more than there are."""
    etag_lie: str = ""
    """The metadata names this content."""
    extra_bytes: int = 0
    """The CDN sends so many more bytes than it says, without a length."""
    has_length: bool = True
    endless_answer: bool = False
    is_odd: bool = False
    """Answer with `odd_text`."""
    odd_text: str = "<html>Sign in to this network</html>"
    odd_location: str = ""
    """Where the content is redirected to, once asked for."""
    next_page_elsewhere: bool = False
    """The next page of a list is at another origin."""
    redirects: int = 0
    """Further redirects between the Hub and the content."""
    chunk_bytes: int = 64 * 1024
    delay_s: float = 0.0
    """Before each chunk."""


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    range: str | None
    token: str | None
    host: str
    sent: int = 0
    """Bytes of content that were sent."""


_ASKED = web.RequestKey("asked", Asked)


class FakeHub:
    """State and handlers."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.knobs = Knobs()
        self.asked: list[Asked] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, repo_id: str, files: dict[str, bytes], **facts: Any) -> Repo:
        self.repos[repo_id] = Repo(files, **facts)
        return self.repos[repo_id]

    def content(self) -> list[Asked]:
        """Return the requests for content."""
        return [each for each in self.asked if each.path.startswith("/cdn/")]

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._note])
        add = app.router.add_get
        add("/api/models", self._list)
        add("/api/models/{org}/{name}", self._info)
        add("/api/models/{org}/{name}/revision/{revision}", self._info)
        add("/{org}/{name}/resolve/{revision}/{path:.+}", self._resolve, allow_head=True)
        add("/cdn/{step:[0-9]+}/{org}/{name}/{path:.+}", self._cdn)
        add("/_asked", self._tell_asked)
        app.router.add_post("/_knobs", self._set_knobs)
        return app

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or None
        asked = Asked(request.method, request.path, request.headers.get("Range"), token, request.host)
        request[_ASKED] = asked
        if not request.path.startswith("/_"):
            self.asked.append(asked)
            trouble = await self._trouble(request)
            if trouble is not None:
                return trouble
        response: web.StreamResponse = await handler(request)
        return response

    async def _trouble(self, request: web.Request) -> web.StreamResponse | None:
        knobs, is_content = self.knobs, request.path.startswith("/cdn/")
        if knobs.hang:
            await asyncio.sleep(3600)
        if is_content:
            return web.Response(status=knobs.cdn_statuses.pop(0)) if knobs.cdn_statuses else None
        if knobs.rate_limited:
            knobs.rate_limited -= 1
            return web.json_response(
                {"error": "rate"},
                status=429,
                headers={"ratelimit": '"resolvers";r=0;t=7', "Retry-After": "7"},
            )
        if knobs.statuses:
            return _error(knobs.statuses.pop(0), "", "forced")
        if knobs.is_odd:
            return web.Response(text=knobs.odd_text, content_type="text/html")
        return await _endless(request) if knobs.endless_answer else None

    # The API

    async def _list(self, request: web.Request) -> web.Response:
        words, filters = request.query.get("search", "").lower(), request.query.getall("filter", [])
        limit, cursor = int(request.query.get("limit", "1000")), int(request.query.get("cursor", "0"))
        names = [name for name, repo in self._sorted() if words in name.lower() and _passes(repo, filters)]
        page = names[cursor : cursor + min(limit, 3)]
        headers = {}
        if cursor + len(page) < len(names):
            host = "localhost" if self.knobs.next_page_elsewhere else "127.0.0.1"
            query = {**request.query, "cursor": str(cursor + len(page))}
            url = request.url.with_host(host).with_query(query)
            headers["Link"] = f'<{url}>; rel="next"'
        return web.json_response([self._describe(name, sizes=False) for name in page], headers=headers)

    def _sorted(self) -> Iterable[tuple[str, Repo]]:
        public = [(name, repo) for name, repo in self.repos.items() if not repo.is_private]
        return sorted(public, key=lambda each: -each[1].downloads)

    async def _info(self, request: web.Request) -> web.StreamResponse:
        name = _repo_of(request)
        refused = self._refuse(request, name)
        if refused is not None:
            return refused
        if request.match_info.get("revision", "main") not in {"main", "branch", COMMIT}:
            return _error(404, "RevisionNotFound", "Invalid rev id")
        return web.json_response(self._describe(name, sizes="blobs" in request.query))

    def _describe(self, name: str, *, sizes: bool) -> dict[str, Any]:
        repo = self.repos[name]
        tags = ["gguf", f"license:{repo.licence}"]
        return {
            "_id": "0" * 24,
            "id": repo.told_id or name,
            "modelId": name,
            "author": name.partition("/")[0],
            "sha": COMMIT,
            "lastModified": "2026-01-31T00:00:00.000Z",
            "private": repo.is_private,
            "gated": "manual" if repo.is_gated else False,
            "downloads": repo.downloads,
            "likes": 2,
            "tags": [*tags, f"base_model:quantized:{repo.base}"] if repo.base else tags,
            "siblings": [_sibling(path, content, sizes=sizes) for path, content in repo.files.items()],
            "gguf": {"total": 1_230_000_000, "architecture": "llama", "context_length": 2048},
        }

    def _refuse(self, request: web.Request, name: str) -> web.Response | None:
        token = request[_ASKED].token
        repo = self.repos.get(name)
        if token == BAD_TOKEN:
            return _error(401, "", "Invalid credentials in Authorization header")
        if repo is None or (repo.is_private and token != GOOD_TOKEN):
            return _error(404 if token else 401, "RepoNotFound", "Repository not found")
        return _error(403, "", "Access to this resource is disabled.") if repo.is_disabled else None

    # Content

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        name, path = _repo_of(request), request.match_info["path"]
        refused = self._refuse(request, name) or self._refuse_content(request, name, path)
        if refused is not None:
            return refused
        content = self.repos[name].files[path]
        etag = self.knobs.etag_lie or etag_of(path, content)
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(content) + self.knobs.size_lie),
            "X-Linked-Etag": f'"{etag}"',
            "ETag": f'"{etag}"',
            "Location": f"http://localhost:{self.port}/cdn/{self.knobs.redirects}/{name}/{path}?X-Sig=1%2F2",
        }
        return web.Response(status=302, headers=headers)

    def _refuse_content(self, request: web.Request, name: str, path: str) -> web.Response | None:
        token, repo = request[_ASKED].token, self.repos[name]
        if repo.is_gated and token != GOOD_TOKEN:
            return _error(403 if token else 401, "GatedRepo", "Access to the model is restricted")
        if request.match_info["revision"] not in {"main", COMMIT}:
            return _error(404, "RevisionNotFound", "Invalid rev id")
        return None if path in repo.files else _error(404, "EntryNotFound", "Entry not found")

    async def _cdn(self, request: web.Request) -> web.StreamResponse:
        if self.knobs.odd_location:
            return web.Response(status=302, headers={"Location": self.knobs.odd_location})
        step = int(request.match_info["step"])
        if step:
            path = request.path_qs.replace(f"/cdn/{step}/", f"/cdn/{step - 1}/", 1)
            return web.Response(status=302, headers={"Location": path})
        if request.query.get("X-Sig") != "1/2":
            return web.Response(status=403)
        content = self.repos[_repo_of(request)].files[request.match_info["path"]]
        begin, status, headers = 0, 200, {"ETag": '"of-the-cdn"'}
        asked = request.headers.get("Range")
        if asked and not self.knobs.ignores_ranges:
            begin, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
            if begin >= len(content):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        return await self._send(request, content[begin:], status, headers)

    async def _send(
        self, request: web.Request, content: bytes, status: int, headers: dict[str, str]
    ) -> web.StreamResponse:
        knobs, response = self.knobs, web.StreamResponse(status=status, headers=headers)
        content += b"!" * knobs.extra_bytes
        if knobs.has_length and not knobs.extra_bytes:
            response.content_length = len(content)
        await response.prepare(request)
        for begin in range(0, len(content), knobs.chunk_bytes):
            await asyncio.sleep(knobs.delay_s)
            chunk = content[begin : begin + knobs.chunk_bytes]
            await response.write(chunk)
            request[_ASKED].sent += len(chunk)
            if await self._is_lost(request, begin + len(chunk)):
                return response
        await response.write_eof()
        return response

    async def _is_lost(self, request: web.Request, sent: int) -> bool:
        knobs = self.knobs
        if knobs.cut_after is not None and sent >= knobs.cut_after:
            knobs.cut_after = knobs.cut_after if knobs.cuts_always else None
            assert request.transport is not None
            request.transport.abort()
            return True
        if knobs.stall_after is not None and sent >= knobs.stall_after:
            knobs.stall_after = None
            await asyncio.sleep(3600)
        return False

    # For tests in other processes

    async def _tell_asked(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(each) for each in self.asked])

    async def _set_knobs(self, request: web.Request) -> web.Response:
        for name, value in (await request.json()).items():
            setattr(self.knobs, name, value)
        return web.Response()


def etag_of(path: str, content: bytes) -> str:
    """Return sha256 for what the Hub keeps as a large file, git's sha1 for the others."""
    if path.endswith(".gguf"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _sibling(path: str, content: bytes, *, sizes: bool) -> dict[str, Any]:
    if not sizes:
        return {"rfilename": path}
    facts = {"rfilename": path, "size": len(content), "blobId": etag_of("", content)}
    if not path.endswith(".gguf"):
        return facts
    return {**facts, "lfs": {"size": len(content), "sha256": etag_of(path, content), "pointerSize": 134}}


def _passes(repo: Repo, filters: list[str]) -> bool:
    has = {"gguf": any(path.endswith(".gguf") for path in repo.files)}
    return all(has.get(each, each == f"base_model:quantized:{repo.base}") for each in filters)


def _repo_of(request: web.Request) -> str:
    return f"{request.match_info['org']}/{request.match_info['name']}"


def _error(status: int, code: str, message: str) -> web.Response:
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return web.json_response({"error": message}, status=status, headers=headers)


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    try:
        while True:
            await response.write(b" " * (1 << 20))
    except ConnectionError:
        return response


@asynccontextmanager
async def run_fake_hub() -> AsyncIterator[FakeHub]:
    """Run a Hub without repositories on a free port."""
    hub = FakeHub()
    runner = web.AppRunner(hub.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hub.port = runner.addresses[0][1]
        yield hub
    finally:
        await runner.cleanup()


def repos_in(folder: Path) -> dict[str, dict[str, bytes]]:
    """Return the repositories in a folder: each `ORG/NAME` with its files."""
    return {
        repo.relative_to(folder).as_posix(): {
            path.relative_to(repo).as_posix(): path.read_bytes() for path in repo.rglob("*") if path.is_file()
        }
        for repo in sorted(folder.glob("*/*"))
    }


async def _serve(repos: dict[str, dict[str, bytes]]) -> None:
    async with run_fake_hub() as hub:
        for name, files in repos.items():
            base = files.pop("base.txt", None)
            hub.add(name, files, base=base.decode() if base else None)
        print(hub.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(repos_in(Path(sys.argv[1]))))
