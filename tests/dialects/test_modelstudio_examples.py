"""The examples of ModelStudio's document, run as they are printed, with only the address and the names replaced.

`modelstudio_examples.txt` is that part of the document. Its text has lost the indentation, which one Python
function cannot do without: there it is put back.
"""

import asyncio
import importlib.util
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from fakes.asking import get, post
from fakes.running_daemon import RunningDaemon, run_daemon
from fakes.scripted_model import Script, text_of
from puna.config import Settings

DOCUMENT = (Path(__file__).parent / "modelstudio_examples.txt").read_text("utf-8")
ANSWER = "It's fine, \u00e9 and \U0001f999."

needs_requests = pytest.mark.skipif(importlib.util.find_spec("requests") is None, reason="needs requests")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
needs_curl = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("curl") is None, reason="needs curl and a shell"
)


def part(begin: str, end: str) -> str:
    """Return an example: the document sets the next heading right behind it."""
    start = DOCUMENT.index(begin)
    return DOCUMENT[start : DOCUMENT.index(end, start)]


PYTHON_ONCE = part("import requests\nAPI_KEY", "import requests\nimport time")
PYTHON_POLLING = part("import requests\nimport time", "JavaScript\n")
JAVASCRIPT = part("const API_KEY", "cURL\n")
CURL_CREATE = part("# Create generation job\ncurl", "# Get results\ncurl")
CURL_RESULTS = part("# Get results\ncurl", "Batch Processing\n")
BATCH = part('{\n"model_id": "your_model_id",\n"messages": [\n[', "Results are returned")
MULTI_TURN = part('{\n"model_id": "your_model_id",\n"messages": [[\n{"role": "system"', "Vision Models")
VISION = DOCUMENT[DOCUMENT.index('{\n"model_id": "your_vision_model_id"') :]


class Reader:
    """Somebody who has read the document and has a key."""

    def __init__(self, daemon: RunningDaemon, key: str) -> None:
        self.organisation = daemon.services.keys.default_organisation.id
        self.key = key
        self.url = daemon.url

    def fill_in(self, example: str) -> str:
        """Replace the address and the names that the document leaves to its reader."""
        names = {
            "https://api.modelstudio.app": self.url,
            "your_api_key": self.key,
            "YOUR_API_KEY": self.key,
            "your_org_id": self.organisation,
            "<ORG_ID>": self.organisation,
            "your_model_id": "demo",
            "your_vision_model_id": "demo",
        }
        for name, value in names.items():
            example = example.replace(name, value)
        return example

    async def run(self, *command: str) -> str:
        """Run a program and return what it printed; it must succeed."""
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, errors.decode()
        return output.decode("utf-8")

    async def run_python(self, example: str) -> str:
        return await self.run(sys.executable, "-X", "utf8", "-c", self.fill_in(example))

    async def post(self, client: aiohttp.ClientSession, example: str, status: int = 200) -> dict[str, str]:
        """Send a body of the document."""
        path = f"/api/v1/organizations/{self.organisation}/generate"
        answer: dict[str, str] = await post(client, path, json.loads(self.fill_in(example)), status)
        return answer


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    """One that lets who asks once wait until the job is done, however slow the disk is."""
    async with run_daemon(tmp_path, settings=Settings(rate_limits="off", job_wait_s=60)) as running:
        yield running


@pytest.fixture
async def reader(daemon: RunningDaemon) -> Reader:
    daemon.launcher.script = Script(deltas=(ANSWER,))
    return Reader(daemon, await daemon.make_key())


@needs_requests
async def test_the_python_example_that_asks_once_prints_the_results(reader: Reader) -> None:
    printed = await reader.run_python(PYTHON_ONCE)
    job_id = printed.partition("'job_id': '")[2].partition("'")[0]
    assert job_id.startswith("job_")
    assert (
        printed
        == f"""{
            {
                "job_id": job_id,
                "job_status": "completed",
                "total_tasks": 1,
                "completed_tasks": 1,
                "results": [{"task_index": 0, "status": "completed", "result": ANSWER, "error": None}],
            }
        }\n"""
    )


@needs_requests
async def test_the_python_example_that_polls_prints_the_text(reader: Reader) -> None:
    assert await reader.run_python(PYTHON_POLLING) == f"{ANSWER}\n"


@needs_node
async def test_the_javascript_example_prints_the_text(reader: Reader) -> None:
    printed = await reader.run("node", "--input-type=module", "--eval", reader.fill_in(JAVASCRIPT))
    assert printed == f"{ANSWER}\n"


@needs_curl
async def test_the_curl_examples_create_a_job_and_get_its_results(reader: Reader) -> None:
    created = json.loads(await reader.run("sh", "-c", reader.fill_in(CURL_CREATE)))
    assert created == {
        "job_id": created["job_id"],
        "status": "CREATED",
        "message": "Generation job created successfully",
    }
    command = reader.fill_in(CURL_RESULTS).replace("<JOB_ID>", created["job_id"])
    results = json.loads(await reader.run("sh", "-c", command))
    assert (results["job_status"], results["results"][0]["result"]) == ("completed", ANSWER)


async def test_the_batch_example_gives_its_results_in_order(reader: Reader, daemon: RunningDaemon) -> None:
    daemon.launcher.script = lambda request: Script(deltas=(f"to {text_of(request)}",))
    async with daemon.client(Authorization=f"Bearer {reader.key}") as client:
        job = await reader.post(client, BATCH)
        path = f"/api/v1/organizations/{reader.organisation}/generate/{job['job_id']}"
        report = await get(client, path)
    assert [each["result"] for each in report["results"]] == [
        "to First input",
        "to Second input",
        "to Third input",
    ]


async def test_the_multi_turn_example_reaches_the_model_whole(reader: Reader, daemon: RunningDaemon) -> None:
    async with daemon.client(Authorization=f"Bearer {reader.key}") as client:
        job = await reader.post(client, MULTI_TURN)
        await get(client, f"/api/v1/organizations/{reader.organisation}/generate/{job['job_id']}")
    (request,) = daemon.worker.requests
    roles = [message.role.value for message in request.prompt.messages]  # type: ignore[union-attr] # a chat
    assert roles == ["system", "user", "assistant", "user"]


async def test_the_vision_example_is_refused_clearly(reader: Reader, daemon: RunningDaemon) -> None:
    async with daemon.client(Authorization=f"Bearer {reader.key}") as client:
        answer = await reader.post(client, VISION, status=400)
    assert answer["detail"] == (
        "`messages[0][0].content[1]` is an image; this version of Puna understands text only."
    )
