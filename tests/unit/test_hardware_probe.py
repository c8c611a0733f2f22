"""Looking at llama.cpp in a child: one look at a time, and children that break."""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from puna.domain.hardware import Backend, LlamaBuild
from puna.domain.models import Device
from puna.engine import probe as probe_module
from puna.engine.last_words import last_words
from puna.engine.probe import LlamaProbe, probe
from puna.errors import EngineUnusableError

BUILD = LlamaBuild(binding="0.3.0", backends=(Backend("CPU"),))
GPU = Device("CUDA0", "Fast Card", "gpu", memory_total_bytes=24 << 30, memory_free_bytes=20 << 30)
WITH_GPU = replace(BUILD, devices=(GPU,))
DAEMON = Path(probe_module.__file__).parents[2]


class Looker:
    """Answers looks when told to, and counts them."""

    def __init__(self, answer: LlamaBuild | EngineUnusableError = BUILD) -> None:
        self.answer = answer
        self.looks = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.now_s = 0.0

    async def look(self) -> LlamaBuild:
        self.looks += 1
        await self.may_answer.wait()
        if isinstance(self.answer, EngineUnusableError):
            raise self.answer
        return self.answer

    def probe(self) -> LlamaProbe:
        return LlamaProbe(self.look, lambda: self.now_s)


async def test_all_who_ask_at_once_share_one_look() -> None:
    looker = Looker()
    found = looker.probe()
    looker.may_answer.clear()
    asking = [asyncio.create_task(found.build()) for _ in range(5)]
    await asyncio.sleep(0)
    looker.may_answer.set()
    assert await asyncio.gather(*asking) == [BUILD] * 5
    assert (looker.looks, found.known) == (1, BUILD)


async def test_who_leaves_does_not_end_the_look_of_the_others() -> None:
    looker = Looker()
    found = looker.probe()
    looker.may_answer.clear()
    leaving, staying = asyncio.create_task(found.build()), asyncio.create_task(found.build())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    looker.may_answer.set()
    assert await staying == BUILD
    assert looker.looks == 1


async def test_without_a_gpu_one_look_is_enough_for_ever() -> None:
    looker = Looker()
    found = looker.probe()
    await found.build()
    looker.now_s = 1e9
    found.refresh(max_age_s=1)
    assert await found.build(max_age_s=1) == BUILD
    assert looker.looks == 1


async def test_free_memory_of_a_gpu_is_looked_at_again_when_it_is_old() -> None:
    looker = Looker(WITH_GPU)
    found = looker.probe()
    await found.build()
    looker.now_s = 10
    assert await found.build(max_age_s=11) == WITH_GPU
    assert looker.looks == 1
    looker.answer = replace(WITH_GPU, devices=(replace(GPU, memory_free_bytes=1),))
    assert (await found.build(max_age_s=9)).gpus[0].memory_free_bytes == 1
    assert looker.looks == 2


async def test_a_refresh_leaves_the_old_answer_until_the_new_one_is_there() -> None:
    looker = Looker(WITH_GPU)
    found = looker.probe()
    await found.build()
    looker.now_s = 100
    looker.may_answer.clear()
    looker.answer = replace(WITH_GPU, binding="newer")
    found.refresh(max_age_s=15)
    found.refresh(max_age_s=15)
    assert found.known == WITH_GPU
    looker.may_answer.set()
    assert (await found.build(max_age_s=15)).binding == "newer"
    assert looker.looks == 2


async def test_a_failed_look_is_told_and_not_repeated_unless_somebody_asks() -> None:
    looker = Looker(EngineUnusableError("llama.cpp cannot be loaded."))
    found = looker.probe()
    with pytest.raises(EngineUnusableError, match="cannot be loaded"):
        await found.build()
    found.refresh(max_age_s=1)
    assert (found.known, found.error, looker.looks) == (None, "llama.cpp cannot be loaded.", 1)
    looker.answer = BUILD
    assert await found.build() == BUILD
    assert (found.error, looker.looks) == (None, 2)


async def test_closing_ends_a_look_that_runs() -> None:
    looker = Looker()
    found = looker.probe()
    looker.may_answer.clear()
    found.refresh(max_age_s=1)
    await found.close()
    await found.close()
    assert found.known is None


def python(code: str) -> Sequence[str]:
    """Return a child that runs this in place of a look."""
    return [sys.executable, "-c", code]


def children_with(code: str) -> list[int]:
    """Return the children of this process that run this; what other tests left of theirs may have ended."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            found += [child.pid] if child.cmdline()[-1:] == [code] else []
    return found


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(DAEMON)}


async def test_the_real_child_tells_the_versions_the_back_ends_and_the_devices() -> None:
    build = await probe(environment=ENVIRONMENT)
    assert build.binding
    assert "CPU" in [backend.name for backend in build.backends]
    assert "cpu" in [device.kind for device in build.devices]
    assert build.taken_at > 0


async def test_the_child_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    code = "import os, sys; sys.exit('has the token' if 'HF_TOKEN' in os.environ else 'has none')"
    with pytest.raises(EngineUnusableError, match="its last words: has none"):
        await probe(command=python(code))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import sys; sys.exit('OSError: libcuda.so.1: cannot open shared object file')",
            r"exit code 1; .*libcuda.so.1",
        ),
        ("print('llama: hello')", r"cannot be loaded \(exit code 0\)"),
        ("raise RuntimeError('no such library')", r"RuntimeError: no such library\)"),
    ],
)
async def test_a_child_that_breaks_is_told_with_its_last_words(code: str, said: str) -> None:
    with pytest.raises(EngineUnusableError, match=said) as failure:
        await probe(command=python(code))
    assert "Traceback" not in failure.value.message
    assert 'File "' not in failure.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_a_processor_that_is_too_old_is_told_as_such() -> None:
    with pytest.raises(EngineUnusableError, match="built for a newer processor"):
        await probe(command=python("import os, signal; os.kill(os.getpid(), signal.SIGILL)"))


async def test_a_child_that_hangs_is_ended() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)"
    with pytest.raises(EngineUnusableError, match=r"did not say within 0.3 s .* graphics driver may hang"):
        await probe(command=python(code), timeout_s=0.3)
    assert not children_with(code)


async def test_a_child_that_a_kill_does_not_reach_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        """Waits for a driver, inside the system."""

        returncode = None
        kills = 0

        @property
        def stdin(self) -> "Stuck":
            return self

        stdout = stderr = stdin

        def close(self) -> None:
            pass

        def kill(self) -> None:
            self.kills += 1

        async def wait(self) -> None:
            await asyncio.Event().wait()

        read = wait

    stuck = Stuck()

    async def start(*_: object, **__: object) -> Stuck:
        return stuck

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    monkeypatch.setattr(probe_module, "_KILLED_GRACE_S", 0.01, raising=False)
    async with asyncio.timeout(60):
        with pytest.raises(EngineUnusableError, match="graphics driver may hang"):
            await probe(timeout_s=0.01)
    assert stuck.kills == 1


async def test_a_look_that_is_given_up_leaves_no_child() -> None:
    code = "import time; time.sleep(101)"
    looking = asyncio.create_task(probe(command=python(code)))
    async with asyncio.timeout(60):
        while not children_with(code):
            await asyncio.sleep(0.01)
    looking.cancel()
    await asyncio.wait([looking])
    assert not children_with(code)


async def test_a_program_that_is_not_there_is_said() -> None:
    with pytest.raises(EngineUnusableError, match="cannot be started"):
        await probe(command=["/nonexistent/puna"])


async def test_the_child_ends_when_nobody_waits_for_it_any_more() -> None:
    code = "import puna.worker.probe as probe, time; probe._look = lambda *_: time.sleep(100); probe.run()"
    process = await asyncio.create_subprocess_exec(
        *python(code), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=ENVIRONMENT
    )
    assert process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(60):
        assert await process.wait() == 0


def test_last_words_have_no_folders_and_no_tracebacks() -> None:
    output = (
        "ggml: a first line\n"
        "Traceback (most recent call last):\n"
        '  File "/home/someone/puna/x.py", line 1, in <module>\n'
        "OSError: /opt/lib/libllama.so: undefined symbol\n"
        "\n"
        "Current thread 0x00007f (most recent call first):\n"
        "a\nb\n"
    )
    assert last_words(output) == ["OSError: libllama.so: undefined symbol", "a", "b"]
    assert last_words("") == []
