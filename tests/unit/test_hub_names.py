"""Names that people write, and names that must not become a path."""

import pytest

from puna.hub.names import HubReference, is_etag, is_file_name, is_repo_id, is_revision, parse_reference


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("org/repo", HubReference("org/repo")),
        ("org/repo:Q4_K_M", HubReference("org/repo", "Q4_K_M")),
        ("org/repo:latest", HubReference("org/repo")),
        ("org/repo@v1.0", HubReference("org/repo", None, "v1.0")),
        ("org/repo:Q8_0@refs/pr/3", HubReference("org/repo", "Q8_0", "refs/pr/3")),
        ("hf.co/org/repo:Q4_K_M", HubReference("org/repo", "Q4_K_M")),
        ("https://huggingface.co/org/repo", HubReference("org/repo")),
        ("https://huggingface.co/org/repo/", HubReference("org/repo")),
        ("https://huggingface.co/org/repo/blob/main/a/m.gguf", HubReference("org/repo", "a/m.gguf")),
        ("org/repo:m-Q4_0.gguf", HubReference("org/repo", "m-Q4_0.gguf")),
        ("Qwen/Qwen2.5-0.5B-Instruct-GGUF", HubReference("Qwen/Qwen2.5-0.5B-Instruct-GGUF")),
    ],
)
def test_what_people_write_means_a_repository(name: str, reference: HubReference) -> None:
    assert parse_reference(name) == reference


@pytest.mark.parametrize(
    "name",
    [
        "", "demo", "llama3.2:1b", "/etc/passwd", "~/m.gguf", "../a", "a/../b", "a/b/c", "a/b@../x", "a/b:../x.gguf",
        "a b/c", "org/re--po", "org/repo.git", "C:\\m.gguf", "a/b:x y", "a" * 97 + "/b",
    ],
)  # fmt: skip
def test_what_is_no_name_of_the_hub_means_nothing(name: str) -> None:
    assert parse_reference(name) is None


@pytest.mark.parametrize(
    "reference",
    [
        HubReference("a/b"),
        HubReference("a/b", "Q4_0"),
        HubReference("a/b", None, "v1"),
        HubReference("a/b", "Q4_0", "v1"),
    ],
)
def test_a_reference_reads_back_as_it_was_written(reference: HubReference) -> None:
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "/a", "a/", "a//b", "a/../b", "../a", "a/./b", "a\\b", "C:a", "C:/a", "a:b", "a\0b", "a\nb",
        "con", "a/NUL.gguf", "a.", "a ", "x" * 401, "a/" + "x" * 256, "\\\\host\\share\\a",
    ],
)  # fmt: skip
def test_a_file_name_that_could_leave_its_folder_is_none(name: str) -> None:
    assert not is_file_name(name)


@pytest.mark.parametrize("name", ["m.gguf", "Q4_K_M/m-00001-of-00002.gguf", "llama-3.2 (1B).gguf", "ü.gguf"])
def test_usual_file_names_are_taken(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize("revision", ["", "..", "../x", "/x", "a..", "a//b", "x.lock", "a" * 201, "-x"])
def test_a_revision_that_could_leave_its_folder_is_none(revision: str) -> None:
    assert not is_revision(revision)


def test_an_etag_is_a_plain_word() -> None:
    assert is_etag("0" * 64)
    assert not is_etag("../../../etc/passwd")
    assert not is_etag("")
    assert not is_repo_id("models--a--b")
