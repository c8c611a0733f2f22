"""Typed objects against free text of the same length: tokens per second and decode steps."""

import subprocess
from pathlib import Path

from environment import venv_python

_PROGRAM = """
import asyncio, json, sys, tempfile, time
from pathlib import Path
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import Finished, GenerationRequest, Sampling, TextPrompt
from puna.domain.models import ModelEntry
from puna.engine.launcher import WorkerLauncher, WorkerOptions

FIELDS = {"customer_full_name": {"type": "string", "maxLength": 20}, "age_in_years": {"type": "integer"},
          "is_a_returning_customer": {"type": "boolean"}, "shipping_country": {"enum": ["Peru", "Chile", "Bolivia"]}}
SCHEMA = {"type": "object", "properties": FIELDS, "required": list(FIELDS), "additionalProperties": False}

async def measure(worker, wanted):
    while worker.status.busy_slots:
        await asyncio.sleep(0.01)
    steps, tokens, started = worker.status.steps, 0, time.perf_counter()
    for request in wanted:
        async for event in worker.generate(request):
            if isinstance(event, Finished):
                tokens += event.usage.completion_tokens
    seconds = time.perf_counter() - started
    await asyncio.sleep(1.2)
    async for _ in worker.generate(GenerationRequest(prompt=TextPrompt("x"), max_tokens=1)):
        pass
    await asyncio.sleep(0.1)
    return tokens, seconds, worker.status.steps - steps - 1

async def main():
    model, runs = Path(sys.argv[1]), int(sys.argv[2])
    entry = ModelEntry(id="bench", name="bench", path=model, size_bytes=model.stat().st_size)
    with tempfile.TemporaryDirectory() as folder:
        worker = await WorkerLauncher(WorkerOptions(log_dir=Path(folder))).launch(entry, lambda _: None)
        typed = [GenerationRequest(prompt=TextPrompt(f"Order {i}: "), max_tokens=300,
                 sampling=Sampling(seed=i, top_k=80), constraint=JsonSchemaConstraint(json.dumps(SCHEMA)))
                 for i in range(runs)]
        await measure(worker, typed[:2])
        tokens, seconds, steps = await measure(worker, typed)
        free = [GenerationRequest(prompt=TextPrompt(f"Order {i}: "), max_tokens=round(tokens / runs),
                sampling=Sampling(seed=i, temperature=1.9, top_k=1000)) for i in range(runs)]
        free_tokens, free_seconds, free_steps = await measure(worker, free)
        await worker.close()
    print(f"typed objects             {tokens / seconds:.0f} tokens/s, {steps / tokens:.2f} steps a token")
    print(f"free text                 {free_tokens / free_seconds:.0f} tokens/s, "
          f"{free_steps / free_tokens:.2f} steps a token")
    print(f"typed against free        {tokens / seconds / (free_tokens / free_seconds):.2f} times the tokens/s")

asyncio.run(main())
"""


def measure_typed(model: Path, runs: int) -> None:
    """Print both, one request at a time, with the same number of tokens for each request."""
    subprocess.run([str(venv_python()), "-c", _PROGRAM, str(model), str(runs * 10)], check=True)
