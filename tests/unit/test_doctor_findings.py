"""What `puna doctor` makes of what it sees: each fact with its verdict, and with an advice where one is due."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from puna.client import DaemonStatus, ModelStatus
from puna.config import Settings
from puna.doctor.configuration import Configuration, judge_settings
from puna.doctor.daemon import DaemonState, judge_daemon
from puna.doctor.engine import Trial, describe_build, judge_engine, judge_instruction_sets, judge_trial
from puna.doctor.finding import Finding, Section, Verdict, make_report, ok, problem, warning
from puna.doctor.hub import HubState, judge_hub
from puna.doctor.machine import describe_processor, judge_machine, judge_memory, judge_processor
from puna.doctor.models import Shelf, judge_models
from puna.doctor.places import Disk, Place, judge_disks, judge_open_files, judge_places
from puna.doctor.tokens import Tokens, judge_tokens
from puna.domain.hardware import Backend, GpuUse, LlamaBuild, Machine, Memory, Processor
from puna.domain.model_tools import ModelTool
from puna.domain.models import Device, ModelEntry, ModelSource
from puna.hardware.sizes import GIB, MIB
from puna.instance import Endpoint, Presence
from puna.models.catalogue import Overview
from puna.models.header import GgufKind
from puna.models.listing import UnusableFile
from puna.models.tool_folders import FolderOffer

PROCESSOR = Processor(
    name="Ryzen 7",
    architecture="x86_64",
    physical_cores=8,
    logical_cores=16,
    instruction_sets=("AVX", "AVX2"),
)
MEMORY = Memory(total_bytes=16 * GIB, available_bytes=8 * GIB)
NO_GPU = GpuUse(
    is_possible=False, reason="this llama.cpp was built for the CPU alone, and the system shows no GPU"
)
BUILD = LlamaBuild(
    binding="0.3.36", version="0.5.0", commit="abc", backends=(Backend("CPU", ("AVX", "AVX2", "OPENMP")),)
)
ENDPOINT = Endpoint(
    pid=42, create_time=0, host="localhost", port=8000, token="the-token", instance="i", version="0.1.0"
)


def verdicts(findings: list[Finding]) -> list[Verdict]:
    """Return the verdicts, and see to it that exactly those that are not ok advise something."""
    for finding in findings:
        assert (finding.advice is None) is (finding.verdict is Verdict.OK), finding
        assert finding.text
    return [finding.verdict for finding in findings]


def test_a_report_is_in_order_and_says_the_urgent_first_and_nothing_twice() -> None:
    report = make_report(
        [
            warning(Section.NETWORK, "Hub", "away", "Connect."),
            ok(Section.MACHINE, "memory", "much"),
            problem(Section.FILES, "state", "gone", "Make it."),
            warning(Section.FILES, "disk", "full", "Make it."),
        ],
        "0.1.0",
        None,
    )
    assert [finding.section for finding in report.findings] == [
        Section.MACHINE, Section.FILES, Section.FILES, Section.NETWORK,
    ]  # fmt: skip
    assert report.verdict is Verdict.PROBLEM
    assert report.to_do == ["Make it.", "Connect."]


def test_a_report_without_findings_is_well() -> None:
    report = make_report([], "0.1.0", None)
    assert (report.verdict, report.to_do) == (Verdict.OK, [])


def test_whatever_looks_like_a_secret_is_taken_out_of_a_report() -> None:
    secret = "hf_" + "x" * 34
    report = make_report(
        [warning(Section.NETWORK, "Hub", f"said {secret}", f"Unset {secret}.")], "0.1.0", None
    )
    assert secret not in str(report)


def test_the_machine_has_a_line_for_each_thing() -> None:
    machine = Machine(system="Linux 6.8", processor=PROCESSOR, memory=MEMORY)
    findings = judge_machine(machine, BUILD, NO_GPU, threads=None)
    assert [finding.subject for finding in findings] == ["system", "processor", "memory", "GPU"]
    assert verdicts(findings) == [Verdict.OK] * 4


@pytest.mark.parametrize(
    ("processor", "text"),
    [
        (PROCESSOR, "Ryzen 7, 8 cores with 16 threads"),
        (replace(PROCESSOR, logical_cores=8), "Ryzen 7, 8 cores"),
        (replace(PROCESSOR, physical_cores=1, logical_cores=1), "Ryzen 7, 1 core"),
        (replace(PROCESSOR, performance_cores=4), "Ryzen 7, 8 cores (4 of them fast) with 16 threads"),
    ],
)
def test_a_processor_is_described_with_its_cores(processor: Processor, text: str) -> None:
    assert describe_processor(processor) == text


def test_a_container_with_fewer_cores_than_the_machine_needs_a_setting() -> None:
    limited = replace(PROCESSOR, usable_cores=2.5)
    finding = judge_processor(limited, threads=None)
    assert verdicts([finding]) == [Verdict.WARNING]
    assert finding.advice is not None
    assert finding.advice.endswith("puna config set threads 2")
    assert judge_processor(limited, threads=2).verdict is Verdict.OK
    assert judge_processor(replace(PROCESSOR, usable_cores=12.0), threads=None).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("available_bytes", "verdict"),
    [(8 * GIB, Verdict.OK), (GIB, Verdict.WARNING), (100 * MIB, Verdict.PROBLEM)],
)
def test_little_free_memory_is_told(available_bytes: int, verdict: Verdict) -> None:
    assert verdicts([judge_memory(replace(MEMORY, available_bytes=available_bytes))]) == [verdict]


def test_a_container_s_memory_is_told_as_such() -> None:
    assert judge_memory(replace(MEMORY, is_limited=True)).text == (
        "16.0 GiB, of which 8.0 GiB are free, as far as this container may use it"
    )


def test_each_gpu_has_a_line_with_its_memory() -> None:
    card = Device("CUDA0", "Fast Card", "gpu", memory_total_bytes=24 * GIB, memory_free_bytes=20 * GIB)
    inside = Device("Vulkan1", "Inside", "igpu", memory_total_bytes=8 * GIB, memory_free_bytes=4 * GIB)
    machine = Machine(system="Linux", processor=PROCESSOR, memory=MEMORY)
    use = GpuUse(is_possible=True, reason="llama.cpp can use Fast Card")
    *_, first, second = judge_machine(machine, replace(BUILD, devices=(card, inside)), use, threads=None)
    assert first.text == "Fast Card, 24.0 GiB, of which 20.0 GiB are free (CUDA0)"
    assert second.text.endswith("(Vulkan1); it shares the machine's memory")


def test_a_gpu_that_is_not_used_is_a_warning_that_says_how_to_use_it() -> None:
    machine = Machine(system="Linux", processor=PROCESSOR, memory=MEMORY)
    use = GpuUse(is_possible=False, reason="this llama.cpp cannot use X", advice="Build it.")
    *_, finding = judge_machine(machine, BUILD, use, threads=None)
    assert finding == warning(Section.MACHINE, "GPU", "This llama.cpp cannot use X", "Build it.")


def test_llama_cpp_is_told_with_its_versions_back_ends_and_what_it_computes_with() -> None:
    findings = judge_engine(BUILD, None, PROCESSOR, Trial(0.25, 16, 0.125, "CPU"))
    assert verdicts(findings) == [Verdict.OK] * 4
    assert [finding.text for finding in findings] == [
        "llama-cpp-python 0.3.36 with llama.cpp 0.5.0 (abc)",
        "CPU",
        "AVX, AVX2",
        "the demo model runs on CPU (loaded in 0.2 s, 128 tokens/s)",
    ]


@pytest.mark.parametrize(
    ("version", "commit", "text"),
    [("", "", ""), ("", "abc", " with llama.cpp abc"), ("0.5", "", " with llama.cpp 0.5")],
)
def test_versions_that_a_build_does_not_tell_are_left_out(version: str, commit: str, text: str) -> None:
    assert describe_build(replace(BUILD, version=version, commit=commit)) == f"llama-cpp-python 0.3.36{text}"


def test_a_llama_cpp_that_cannot_be_loaded_is_a_problem() -> None:
    [finding] = judge_engine(None, "llama.cpp cannot be loaded (exit code 1).", PROCESSOR, None)
    assert verdicts([finding]) == [Verdict.PROBLEM]
    assert finding.text == "llama.cpp cannot be loaded (exit code 1)."


def test_a_model_that_does_not_run_is_a_problem() -> None:
    finding = judge_trial(Trial(error="signal 4 (SIGILL)"))
    assert verdicts([finding]) == [Verdict.PROBLEM]
    assert "SIGILL" in finding.text


def test_only_what_costs_much_is_a_warning_where_a_build_leaves_it_unused() -> None:
    slow = judge_instruction_sets(replace(BUILD, backends=(Backend("CPU", ("AVX",)),)), PROCESSOR)
    assert verdicts([slow]) == [Verdict.WARNING]
    assert slow.text == "AVX, but not with AVX2, which this processor has"
    newer = replace(PROCESSOR, instruction_sets=("AVX", "AVX2", "AVX512"))
    assert judge_instruction_sets(BUILD, newer).text == "AVX, AVX2; the processor also has AVX512"
    assert judge_instruction_sets(BUILD, newer).verdict is Verdict.OK
    silent = replace(BUILD, backends=(Backend("CPU"),))
    assert judge_instruction_sets(silent, newer).verdict is Verdict.OK


def judged(state: DaemonState) -> list[Finding]:
    return judge_daemon(state, "localhost", 8000, "0.1.0")


def test_a_daemon_that_runs_is_told_with_its_address() -> None:
    status = DaemonStatus(instance="i", version="0.1.0", pid=42, uptime_s=1)
    [finding] = judged(DaemonState(presence=Presence.RUNNING, endpoint=ENDPOINT, status=status))
    assert finding.text == "runs at http://localhost:8000 (process 42)"
    assert "the-token" not in str(finding)


def test_a_model_that_failed_is_told() -> None:
    failed = ModelStatus(id="big", state="failed", error="out of memory")
    status = DaemonStatus(instance="i", version="0.1.0", pid=42, uptime_s=1, models=(failed,))
    findings = judged(DaemonState(presence=Presence.RUNNING, endpoint=ENDPOINT, status=status))
    assert verdicts(findings) == [Verdict.OK, Verdict.WARNING]
    assert findings[1].text == "could not be loaded: out of memory"


def test_a_daemon_of_another_version_must_be_restarted() -> None:
    other = replace(ENDPOINT, version="0.0.9")
    [finding] = judged(DaemonState(presence=Presence.RUNNING, endpoint=other))
    assert verdicts([finding]) == [Verdict.WARNING]
    assert finding.advice == "Restart it: puna stop, then puna start"


def test_a_daemon_that_does_not_answer_is_a_warning() -> None:
    assert verdicts(judged(DaemonState(presence=Presence.STARTING))) == [Verdict.WARNING]


@pytest.mark.parametrize("presence", [Presence.ABSENT, Presence.STALE])
def test_without_a_daemon_the_port_must_be_free(presence: Presence) -> None:
    free = judged(DaemonState(presence=presence))
    assert verdicts(free) == [Verdict.OK, Verdict.OK]
    assert free[1].text == "8000 on localhost is free"
    error = "Port 8000 on 127.0.0.1 is taken by nginx (process 7): stop that program, or choose another port."
    taken = judged(DaemonState(presence=presence, port_error=error))
    assert verdicts(taken) == [Verdict.OK, Verdict.PROBLEM]
    assert taken[1].text == "Port 8000 on 127.0.0.1 is taken by nginx (process 7)"
    assert taken[1].advice == "Stop that program, or choose another port."


def test_any_free_port_is_well() -> None:
    *_, finding = judge_daemon(DaemonState(presence=Presence.ABSENT), "localhost", 0, "0.1.0")
    assert finding.text == "a free one on localhost"


def test_settings_are_told_by_name_never_by_value() -> None:
    found = Configuration(settings=Settings(), file=Path("puna.toml"), changed=("port", "threads"))
    assert judge_settings(found).text == "port, threads set"
    assert verdicts([judge_settings(replace(found, warnings=("PUNA_PROT is none.",)))]) == [Verdict.WARNING]
    assert verdicts([judge_settings(replace(found, error="port must be a number."))]) == [Verdict.PROBLEM]


def test_a_folder_that_cannot_be_written_to_is_a_problem() -> None:
    places = [
        Place(subject="state", path=Path("state"), exists=True),
        Place(subject="logs", path=Path("logs"), exists=False),
        Place(subject="config", path=Path("config"), exists=True, error="Permission denied"),
    ]
    findings = judge_places(places)
    assert verdicts(findings) == [Verdict.OK, Verdict.OK, Verdict.PROBLEM]
    assert findings[1].text == "logs, made when it is needed"
    assert findings[2].text == "config cannot be written to (Permission denied)"


@pytest.mark.parametrize(
    ("free_bytes", "takes_models", "verdict"),
    [
        (50 * GIB, True, Verdict.OK),
        (5 * GIB, True, Verdict.WARNING),
        (5 * GIB, False, Verdict.OK),
        (GIB // 2, False, Verdict.WARNING),
        (MIB, False, Verdict.PROBLEM),
    ],
)
def test_a_full_disk_is_told_earlier_where_models_go(
    free_bytes: int, takes_models: bool, verdict: Verdict
) -> None:
    disk = Disk(path=Path("x"), free_bytes=free_bytes, total_bytes=100 * GIB, takes_models=takes_models)
    assert verdicts(judge_disks([disk])) == [verdict]


def test_secret_files_that_others_may_read_are_told_with_the_command_that_mends_them() -> None:
    open_file, other = Path("a b"), Path("secrets.json")
    finding = judge_open_files([open_file], [open_file, other])
    assert verdicts([finding]) == [Verdict.WARNING]
    assert finding.advice == 'Keep them to yourself: chmod 600 "a b"'
    assert judge_open_files([], [other]).text == "only you can read secrets.json"
    assert judge_open_files([], []).text == "none yet"


def entry(source: ModelSource, size_bytes: int = GIB) -> ModelEntry:
    return ModelEntry(id=source.value, name="x", path=Path("x.gguf"), size_bytes=size_bytes, source=source)


def broken(model_id: str, kind: GgufKind | None = None) -> UnusableFile:
    return UnusableFile(
        id=model_id,
        path=Path(model_id),
        reason=f"{model_id} is cut off.",
        source=ModelSource.FOLDER,
        kind=kind,
    )


def shelf(*models: ModelEntry, unusable: tuple[UnusableFile, ...] = (), **changes: object) -> Shelf:
    overview = Overview(models=(entry(ModelSource.DEMO), *models), unusable=unusable, offers=())
    return replace(Shelf(overview=overview), **changes)


def judged_models(found: Shelf, settings: Settings | None = None) -> list[Finding]:
    return judge_models(found, settings or Settings(), Path("state.json"))


def test_models_are_counted_by_where_they_are() -> None:
    findings = judged_models(
        shelf(
            entry(ModelSource.HUB),
            entry(ModelSource.HUB, 3 * GIB),
            entry(ModelSource.FOLDER),
            entry(ModelSource.REMOTE),
        )
    )
    assert verdicts(findings) == [Verdict.OK] * 4
    assert {finding.subject: finding.text for finding in findings} == {
        "built in": "the demo model",
        "Hub cache": "2 models, 4.0 GiB",
        "folders": "1 model, 1.0 GiB",
        "remote": "1 on other machines",
    }


def test_broken_files_are_told_by_name_and_files_of_other_kinds_are_not() -> None:
    files = tuple(broken(name) for name in "abcd")
    *_, finding = judged_models(shelf(unusable=(*files, broken("lora", GgufKind.ADAPTER))))
    assert verdicts([finding]) == [Verdict.WARNING]
    assert finding.text == "a is cut off. b is cut off. c is cut off. And 1 more."
    assert len(judged_models(shelf(unusable=(broken("lora", GgufKind.ADAPTER),)))) == 1


def test_a_folder_of_the_settings_that_is_gone_is_a_problem_with_the_setting_that_is_left() -> None:
    settings = Settings(model_folders=(Path("gone"), Path("there")))
    *_, finding = judged_models(shelf(missing=(Path("gone"),)), settings)
    assert verdicts([finding]) == [Verdict.PROBLEM]
    assert finding.advice is not None
    assert finding.advice.endswith('puna config set model_folders "there"')


def test_a_default_model_that_is_not_there_is_told() -> None:
    findings = judged_models(shelf(default_error="There is no model nope."), Settings(model="nope"))
    assert verdicts(findings) == [Verdict.OK, Verdict.WARNING]
    assert "model=nope: There is no model nope." in findings[1].text


def test_models_of_other_programs_are_offered() -> None:
    offer = FolderOffer(tool=ModelTool.LM_STUDIO, folder=Path("lm"), model_count=2, size_bytes=9 * GIB)
    found = shelf()
    found = replace(found, overview=replace(found.overview, offers=(offer,)))
    *_, finding = judged_models(found, Settings(use_models_of=(ModelTool.LLAMA_CPP,)))
    assert finding.verdict is Verdict.OK
    assert finding.text == (
        "2 models, 9.0 GiB, not listed; to list them: puna config set use_models_of llama.cpp lm-studio"
    )


def test_a_damaged_state_file_is_told() -> None:
    *_, finding = judged_models(shelf(is_state_damaged=True))
    assert verdicts([finding]) == [Verdict.WARNING]
    assert finding.section is Section.FILES


@pytest.mark.parametrize(
    ("state", "verdict", "text"),
    [
        (HubState(host="h", is_offline=True), Verdict.OK, "h is not asked: offline, as the settings say"),
        (HubState(host="h", answered_in_s=0.123), Verdict.OK, "h answers in 123 ms"),
        (HubState(host="h", error="no answer in time"), Verdict.WARNING,
         "h cannot be reached (no answer in time); models on disk work"),
    ],
)  # fmt: skip
def test_the_hub_is_asked_or_not(state: HubState, verdict: Verdict, text: str) -> None:
    finding = judge_hub(state)
    assert verdicts([finding]) == [verdict]
    assert finding.text == text


@pytest.mark.parametrize(
    ("tokens", "verdict", "text"),
    [
        (Tokens(), Verdict.OK, "the module ngrok is not installed; no token, which only a tunnel needs"),
        (Tokens(ngrok_module="1.4.0"), Verdict.OK, "ngrok 1.4.0; no token, which only a tunnel needs"),
        (Tokens(ngrok="the environment"), Verdict.WARNING,
         "a token from the environment, but the module ngrok is not installed"),
        (Tokens(ngrok="the environment", ngrok_module="1.4.0"), Verdict.OK,
         "ngrok 1.4.0, with a token from the environment"),
    ],
)  # fmt: skip
def test_a_tunnel_needs_a_module_and_a_token(tokens: Tokens, verdict: Verdict, text: str) -> None:
    hub, tunnel = judge_tokens(tokens)
    assert hub.verdict is Verdict.OK
    assert verdicts([tunnel]) == [verdict]
    assert tunnel.text == text
