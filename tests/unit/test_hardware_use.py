"""What of a machine can be used, what is used, and why it is not more."""

import pytest
from msgspec.structs import replace

from fakes.fake_worker import LOADED
from puna.domain.hardware import Backend, GpuUse, GraphicsCard, LlamaBuild, Processor
from puna.domain.models import Device, LoadedModel
from puna.hardware.gpu_use import join_names, judge_gpus
from puna.hardware.model_use import (
    Wishes,
    explain_context,
    explain_layers,
    explain_model,
    explain_remote,
    explain_threads,
)
from puna.hardware.sizes import GIB
from puna.llama.system_line import read_backends

CPU = Device("CPU", "A processor", "cpu", memory_total_bytes=16 * GIB, memory_free_bytes=8 * GIB)
GPU = Device("CUDA0", "Fast Card", "gpu", memory_total_bytes=24 * GIB, memory_free_bytes=20 * GIB)
FOR_CPU = LlamaBuild(binding="0.3.0", backends=(Backend("CPU", ("AVX2", "OPENMP")),), devices=(CPU,))
FOR_CUDA = replace(FOR_CPU, backends=(Backend("CUDA", ("ARCHS=890",)), *FOR_CPU.backends))
NVIDIA = GraphicsCard(name="GeForce RTX 4090", vendor="NVIDIA", memory_bytes=24 * GIB)
RADEON = GraphicsCard(name="Radeon RX 7900", vendor="AMD", memory_bytes=24 * GIB)
INTEL = GraphicsCard(name="UHD 620", vendor="Intel")
APPLE = GraphicsCard(name="Apple M3 GPU", vendor="Apple")
PROCESSOR = Processor(name="Ryzen", architecture="x86_64", physical_cores=8, logical_cores=16)
NO_GPU = GpuUse(is_possible=False, reason="this llama.cpp was built for the CPU alone")


def test_the_line_of_llama_cpp_is_read_with_the_features_of_each_back_end() -> None:
    line = "CUDA : ARCHS = 750,890 | USE_GRAPHS = 1 | VMM = 0 | CPU : SSE3 = 1 | AVX = 1 | AVX2 = 0 | OPENMP = 1 | "
    assert read_backends(line, ["CUDA", "RPC", "CPU"]) == (
        Backend("CUDA", ("ARCHS=750,890", "USE_GRAPHS")),
        Backend("RPC"),
        Backend("CPU", ("SSE3", "AVX", "OPENMP")),
    )


@pytest.mark.parametrize("line", ["", " | ", "nothing that has a form", " = | : "])
def test_a_line_without_features_still_leaves_the_registered_back_ends(line: str) -> None:
    assert read_backends(line, ["CPU"])[0] == Backend("CPU")


def test_a_build_tells_its_gpu_back_ends_and_instruction_sets() -> None:
    build = replace(
        FOR_CUDA, backends=(*FOR_CUDA.backends, Backend("BLAS"), Backend("RPC")), devices=(CPU, GPU)
    )
    assert (build.gpus, build.gpu_backends, build.has_rpc) == ((GPU,), ("CUDA",), True)
    assert build.instruction_sets == ("AVX2",)
    assert not FOR_CPU.has_rpc


def test_a_gpu_that_llama_cpp_sees_can_be_used() -> None:
    use = judge_gpus(replace(FOR_CUDA, devices=(GPU, GPU, CPU)), [NVIDIA])
    assert (use.is_possible, use.reason, use.advice) == (True, "llama.cpp can use 2 x Fast Card", None)


def test_before_a_look_nothing_is_claimed() -> None:
    use = judge_gpus(None, [NVIDIA])
    assert (use.is_possible, use.is_known, use.advice) == (False, False, None)


@pytest.mark.parametrize(
    ("card", "option"),
    [(NVIDIA, "CUDA"), (RADEON, "VULKAN"), (APPLE, "METAL")],
    ids=lambda value: str(value)[:20],
)
def test_a_build_for_the_cpu_says_how_to_build_for_the_card(card: GraphicsCard, option: str) -> None:
    use = judge_gpus(FOR_CPU, [INTEL, card])
    assert use.reason == f"this llama.cpp was built for the CPU alone, so {card.name} is not used"
    assert use.advice is not None
    assert f"-C cmake.args=-DGGML_{option}=on llama-cpp-python" in use.advice
    assert card.name in use.advice


def test_a_bundle_cannot_be_built_anew_by_its_user() -> None:
    use = judge_gpus(FOR_CPU, [RADEON], is_bundle=True)
    assert use.advice == "Install the build of Puna for Vulkan to use Radeon RX 7900."


def test_a_gpu_within_the_processor_is_not_worth_an_advice() -> None:
    use = judge_gpus(FOR_CPU, [INTEL])
    assert use.advice is None
    assert use.reason.endswith("alone, and UHD 620 would be hardly faster")
    assert judge_gpus(FOR_CPU, []).reason.endswith("alone, and the system shows no GPU")


def test_a_driver_that_is_missing_is_said_with_its_own_words() -> None:
    build = replace(
        FOR_CUDA, complaint="ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected"
    )
    use = judge_gpus(build, [NVIDIA])
    assert use.reason == (
        "this llama.cpp can use CUDA, but finds no GPU for it (ggml_cuda_init: failed to initialize CUDA: "
        "no CUDA-capable device is detected), though the system has GeForce RTX 4090"
    )
    assert use.advice is not None
    assert "driver of GeForce RTX 4090" in use.advice
    assert judge_gpus(FOR_CUDA, []).advice is None


def test_names_are_joined_as_people_write_them() -> None:
    assert join_names(["a"]) == "a"
    assert join_names(["a", "b"]) == "a and b"
    assert join_names(["a", "b", "c", "a"]) == "2 x a, b and c"
    assert join_names([]) == ""


def loaded(**changes: object) -> LoadedModel:
    return replace(LOADED, layers=33, **changes)


@pytest.mark.parametrize(
    ("gpu_layers", "wish", "reason"),
    [
        (0, 0, "the setting gpu_layers is 0"),
        (0, None, "this llama.cpp was built for the CPU alone"),
        (33, None, "all layers are on the GPU"),
        (33, 99, "all layers are on the GPU"),
        (10, 10, "the setting gpu_layers is 10"),
        (20, None, "no more layers fit the GPU's free memory"),
        (20, 30, "no more layers fit the GPU's free memory"),
    ],
)
def test_layers_on_the_gpu_are_explained(gpu_layers: int, wish: int | None, reason: str) -> None:
    assert explain_layers(loaded(gpu_layers=gpu_layers), wish, NO_GPU) == reason


def test_where_a_gpu_could_be_used_the_worker_knows_why_it_is_not() -> None:
    model = loaded(backend_reason="the model does not fit Fast Card: out of memory")
    can = GpuUse(is_possible=True, reason="llama.cpp can use Fast Card")
    unknown = GpuUse(is_possible=False, is_known=False, reason="llama.cpp has not told yet what it can use")
    assert explain_layers(model, None, can) == model.backend_reason
    assert explain_layers(model, None, unknown) == model.backend_reason


@pytest.mark.parametrize(
    ("threads", "wish", "usable", "reason"),
    [
        (3, 3, None, "the setting threads is 3"),
        (8, None, None, "all physical cores; a second thread on a core gains nothing"),
        (5, None, None, "the other cores are left to programs that use them now"),
        (2, 3, None, "the other cores are left to programs that use them now"),
        (2, None, 2.5, "this process may use 2.5 of 16 cores"),
    ],
)
def test_threads_are_explained(threads: int, wish: int | None, usable: float | None, reason: str) -> None:
    assert explain_threads(threads, wish, replace(PROCESSOR, usable_cores=usable)) == reason


def test_all_cores_are_all_where_a_core_has_one_thread() -> None:
    assert explain_threads(8, None, replace(PROCESSOR, logical_cores=8)) == "all cores"


@pytest.mark.parametrize(
    ("length", "trained", "wish", "reason"),
    [
        (2048, 2048, None, "all that the model was trained for"),
        (2048, 2048, 8192, "all that the model was trained for"),
        (4096, 131_072, 4096, "the setting context_length is 4096"),
        (
            8192,
            131_072,
            None,
            "chosen to fit the memory that was free; the setting context_length asks for more",
        ),
        (32_768, 131_072, None, "as long as it gets unasked; the setting context_length asks for more"),
        (512, 0, 512, "the setting context_length is 512"),
    ],
)
def test_the_context_is_explained(length: int, trained: int, wish: int | None, reason: str) -> None:
    assert explain_context(loaded(context_length=length, trained_context_length=trained), wish) == reason


def test_a_model_s_use_has_its_figures_and_a_reason_for_each() -> None:
    use = explain_model(
        "demo", loaded(), threads=2, wishes=Wishes(threads=2), processor=PROCESSOR, gpu_use=NO_GPU
    )
    assert (use.id, use.threads, use.layers, use.gpu_layers) == ("demo", 2, 33, 0)
    assert (use.threads_reason, use.layers_reason) == ("the setting threads is 2", NO_GPU.reason)
    assert use.context_length == LOADED.context_length
    unknown = explain_model("x", LOADED, threads=1, wishes=Wishes(), processor=PROCESSOR, gpu_use=NO_GPU)
    assert unknown.layers is None


def test_a_model_elsewhere_uses_nothing_of_this_machine() -> None:
    use = explain_remote("far", loaded())
    assert (use.threads, use.gpu_layers) == (0, 0)
    assert {use.layers_reason, use.threads_reason, use.context_reason} == {
        "it runs on another machine, which decides"
    }
