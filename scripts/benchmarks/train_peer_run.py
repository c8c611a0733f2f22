"""Measures training steps and forward passes of torch and peft, in turns; prints JSON. Run by `benchmarks.train_peer`.

train_peer_run.py JOB

The job is JSON with the fields of `Job`. It runs in any Python that has torch, peft and transformers (whose
own needs bring psutil). Nothing is downloaded: the model is made from its shape, with random weights.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil
import torch

from puna.trainer.peak_memory import peak_memory

_WARM_UPS = 2


class Job(NamedTuple):
    """What to measure; types and targets as torch and transformers name them."""

    data_type: str
    width: int
    layers: int
    feed_forward: int
    heads: int
    kv_heads: int
    vocabulary: int
    row_length: int
    rank: int
    alpha: float
    targets: list[str]
    threads: int
    runs: int


def main() -> None:
    """Measure what the command line describes; print null where the processor has no such numbers."""
    job = Job(**json.loads(sys.argv[1]))
    if job.data_type == "bfloat16" and not has_bf16():
        print("null")
        return
    torch.manual_seed(1)
    torch.set_num_threads(job.threads)
    print(json.dumps(measure(job)))


def measure(job: Job) -> dict[str, float]:
    """Return the medians, and the most memory that this process had."""
    model = build_model(job)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    row = torch.randint(300, 4000, (1, job.row_length))

    def forward() -> None:
        with torch.inference_mode(), autocast(job):
            model(input_ids=row, logits_to_keep=1)  # as llama.cpp does

    def step() -> None:
        with autocast(job):
            loss = model(input_ids=row, labels=row).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    for _ in range(_WARM_UPS):
        step()
    times_s: dict[str, list[float]] = {"forward_s": [], "step_s": []}
    psutil.cpu_percent()
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(job.runs):
        times_s["forward_s"].append(elapsed_s(forward))
        times_s["step_s"].append(elapsed_s(step))
    own = (time.process_time() - started_cpu_s) / (time.perf_counter() - started_s)
    others = psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1) - own
    medians = {name: sorted(values)[job.runs // 2] for name, values in times_s.items()}
    return {**medians, "others": max(0.0, others), "memory_bytes": peak_memory()}


def build_model(job: Job) -> Any:
    """Return a llama with an adapter: frozen weights of the job's type, the adapter in F32 as peft keeps it."""
    transformers, peft = importlib.import_module("transformers"), importlib.import_module("peft")
    config = transformers.LlamaConfig(
        vocab_size=job.vocabulary,
        hidden_size=job.width,
        intermediate_size=job.feed_forward,
        num_hidden_layers=job.layers,
        num_attention_heads=job.heads,
        num_key_value_heads=job.kv_heads,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        use_cache=False,
    )
    torch.set_default_dtype(getattr(torch, job.data_type))
    base = transformers.LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    lora = peft.LoraConfig(
        r=job.rank, lora_alpha=job.alpha, target_modules=job.targets, lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    return peft.get_peft_model(base, lora).train()


def autocast(job: Job) -> Any:
    """Return the context in which the adapter's products are bfloat16 too, where the weights are."""
    return torch.autocast("cpu", torch.bfloat16, enabled=job.data_type == "bfloat16")


def elapsed_s(work: Callable[[], None]) -> float:
    """Return the time that a piece of work takes."""
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def has_bf16() -> bool:
    """Whether the processor computes with bfloat16 itself, as far as this torch tells."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any("bf16" in name and bool(has_it) for name, has_it in capabilities.items())


if __name__ == "__main__":
    main()
