"""How `puna doctor` prints what was found, and how it ends."""

import io
import json

import pytest
from msgspec.structs import replace
from rich.console import Console

from puna.cli.doctor import describe_use, print_report, to_json
from puna.doctor import examination
from puna.doctor.finding import Finding, Report, Section, make_report, ok, problem, warning
from puna.domain.hardware import GpuUse, Hardware, Machine, Memory, ModelUse, Processor
from puna.domain.memory import DeviceNeed
from unit.conftest import Run

USE = ModelUse(
    id="demo",
    backend="CUDA",
    backend_reason="runs on Fast Card",
    gpu_layers=20,
    layers=33,
    layers_reason="no more layers fit the GPU's free memory",
    threads=2,
    threads_reason="the setting threads is 2",
    context_length=8192,
    trained_context_length=131_072,
    context_reason="chosen to fit the memory that was free; the setting context_length asks for more",
    total_cells=8192,
    slots=8,
    size_bytes=4 << 30,
    needs=(DeviceNeed(device="CUDA0", weights_bytes=3 << 30, cache_bytes=1 << 30),),
)
HARDWARE = Hardware(
    machine=Machine(
        system="Linux",
        processor=Processor(name="x", architecture="x86_64", physical_cores=2, logical_cores=2),
        memory=Memory(total_bytes=1, available_bytes=1),
    ),
    gpu_use=GpuUse(is_possible=False, reason="none"),
    models=(USE,),
)
COMMAND = (
    "pip install --force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
)


def report_of(*findings: Finding, hardware: Hardware | None = None) -> Report:
    return make_report(findings, "0.1.0", hardware)


def printed(report: Report, width: int = 110) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=width, markup=False, highlight=False))
    return stream.getvalue()


def test_the_table_has_a_title_for_each_section_and_a_line_for_each_finding() -> None:
    text = printed(
        report_of(
            ok(Section.MACHINE, "memory", "16 GiB"), problem(Section.FILES, "disk", "full", "Empty it.")
        )
    )
    assert "\nMachine\nok       memory         16 GiB\n" in text
    assert "\nFiles\nPROBLEM  disk           full\n" in text
    assert text.endswith("\nSomething does not work. What to do:\n  1. Empty it.\n")


def test_a_table_without_advice_ends_well() -> None:
    assert printed(report_of(ok(Section.MACHINE, "memory", "16 GiB"))).endswith("\n\nAll is well.\n")


def test_warnings_alone_say_that_puna_works() -> None:
    assert "Puna works. What to do:" in printed(
        report_of(warning(Section.FILES, "disk", "full", "Empty it."))
    )


def test_long_texts_stay_in_their_column_and_commands_on_one_line() -> None:
    finding = warning(Section.ENGINE, "computes with", "AVX, " * 30, f"Build it: {COMMAND}")
    lines = printed(report_of(finding), width=60).splitlines()
    assert f"  1. Build it: {COMMAND}" in lines
    told = [line for line in lines if "AVX" in line]
    assert len(told) > 2
    assert all(len(line) <= 60 for line in told)
    assert all(line.startswith(" " * 24 + "AVX") for line in told[1:])


def test_on_a_narrow_terminal_texts_stand_below_what_they_are_about() -> None:
    found = warning(Section.FILES, "disk", "1 GiB of 252 GiB are free for /home/llama/cache", "Empty it.")
    shown = printed(report_of(found, hardware=HARDWARE), width=40)
    assert "\nwarning disk\n  1 GiB of 252 GiB are free for\n  /home/llama/cache\n" in shown
    assert "\ndemo runs on\n  CUDA, 8 requests at a time\nmemory\n  CUDA0: " in shown
    assert max(map(len, shown.splitlines())) <= 40


def test_names_of_files_cannot_steer_the_terminal() -> None:
    shown = printed(report_of(problem(Section.MODELS, "broken", "a\x1b[2J.gguf", "Remove a\x1b[2J.gguf.")))
    assert "\x1b" not in shown
    assert shown.count("a\u241b[2J.gguf") == 2


def test_a_text_in_brackets_is_printed_as_it_is() -> None:
    assert "[AMD/ATI] [bold]" in printed(report_of(ok(Section.MACHINE, "GPU", "[AMD/ATI] [bold]")))


def test_nothing_is_printed_that_an_old_console_cannot_show() -> None:
    report = report_of(problem(Section.FILES, "disk", "full", "Empty it."), hardware=HARDWARE)
    assert printed(report).isascii()


def test_a_model_in_memory_is_told_with_its_reasons() -> None:
    text = printed(report_of(hardware=HARDWARE))
    assert "         demo           runs on     CUDA, 8 requests at a time\n" in text
    assert "memory      CUDA0: 4.0 GiB set aside (weights 3.0 GiB, context 1.0 GiB)\n" in text
    assert "GPU layers  20 of 33: no more layers fit the GPU's free memory\n" in text
    assert "threads     2: the setting threads is 2\n" in text
    assert "context     8192 of 131072 tokens: chosen to fit" in text


def test_a_model_with_a_long_name_keeps_a_space_behind_it() -> None:
    name = "organisation/a-very-long-model-name:Q4_K_M"
    hardware = replace(HARDWARE, models=(replace(USE, id=name),))
    assert f"{name} runs on " in printed(report_of(hardware=hardware))


def test_what_is_not_known_of_a_model_is_left_out() -> None:
    use = replace(USE, layers=None, trained_context_length=0, needs=())
    rows = dict(describe_use(use))
    assert "memory" not in rows
    assert rows["GPU layers"].startswith("20: ")
    assert rows["context"].startswith("8192 tokens: ")


def test_programs_get_all_of_it() -> None:
    finding = warning(Section.FILES, "disk", "full", "Empty it.")
    told = json.loads(to_json(report_of(finding, hardware=HARDWARE)))
    assert (told["verdict"], told["to_do"]) == ("warning", ["Empty it."])
    assert told["findings"] == [
        {"section": "Files", "subject": "disk", "verdict": "warning", "text": "full", "advice": "Empty it."}
    ]
    assert told["hardware"]["models"][0]["layers_reason"] == USE.layers_reason


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (ok(Section.FILES, "disk", "empty"), 0),
        (warning(Section.FILES, "disk", "full", "Empty it."), 0),
        (problem(Section.FILES, "disk", "full", "Empty it."), 1),
    ],
    ids=lambda value: str(getattr(value, "verdict", value)),
)
def test_only_a_problem_makes_the_command_fail(
    puna: Run, monkeypatch: pytest.MonkeyPatch, finding: Finding, code: int
) -> None:
    async def run(_: object) -> Report:
        return report_of(finding)

    monkeypatch.setattr(examination.Examination, "run", run)
    table, machine = puna("doctor"), puna("doctor", "--json")
    assert (table.code, machine.code) == (code, code)
    assert "disk" in table.out
    assert json.loads(machine.out)["verdict"] == finding.verdict
    assert (table.err, machine.err) == ("", "")
