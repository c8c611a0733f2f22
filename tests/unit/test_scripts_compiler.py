"""Whether llama.cpp can be compiled here, and what is said when not."""

import pytest

from compiler import advice, has_compiler, missing_compiler


def which_of(*present: str) -> "dict[str, str]":
    return {name: f"/usr/bin/{name}" for name in present}


@pytest.mark.parametrize("name", ["c++", "g++", "clang++"])
def test_any_common_compiler_will_do_on_linux(name: str) -> None:
    assert has_compiler("linux", {}, which_of(name).get, lambda _: False)


def test_a_c_compiler_alone_is_not_enough() -> None:
    assert not has_compiler("linux", {}, which_of("gcc", "cc", "make").get, lambda _: False)


def test_the_compiler_that_cxx_names_counts_and_no_other() -> None:
    assert has_compiler("linux", {"CXX": "icpx -O2"}, which_of("icpx").get, lambda _: False)
    assert not has_compiler("linux", {"CXX": "missing"}, which_of("g++").get, lambda _: False)


def test_macos_is_asked_for_its_tools_because_its_compiler_is_a_stand_in() -> None:
    assert not has_compiler("darwin", {}, which_of("c++", "clang++").get, lambda _: False)
    assert has_compiler("darwin", {}, which_of().get, lambda command: command == ["xcode-select", "-p"])


def test_windows_is_asked_through_vswhere() -> None:
    asked: list[list[str]] = []

    def finds(command: list[str]) -> bool:
        asked.append(command)
        return True

    assert has_compiler("win32", {"ProgramFiles(x86)": "D:/Programs"}, which_of().get, finds)
    assert asked[0][0].replace("\\", "/") == "D:/Programs/Microsoft Visual Studio/Installer/vswhere.exe"
    assert has_compiler("win32", {}, which_of("cl").get, lambda _: False)
    assert not has_compiler("win32", {}, which_of().get, lambda _: False)


@pytest.mark.parametrize(
    ("os_release", "expected"),
    [
        ('ID=debian\nVERSION_ID="12"', "sudo apt install build-essential"),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'", "sudo apt install build-essential"),
        ("ID=fedora", "sudo dnf install gcc-c++ make"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "sudo dnf install gcc-c++ make"),
        ("ID=arch", "sudo pacman -S base-devel"),
        ("ID=manjaro\nID_LIKE=arch", "sudo pacman -S base-devel"),
        ('ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"', "sudo zypper install gcc-c++ make"),
        ("ID=alpine", "sudo apk add build-base"),
        ("ID=unheard-of", "install g++ or clang with the package manager of this system"),
        ("", "install g++ or clang with the package manager of this system"),
    ],
)
def test_each_linux_is_told_its_own_command(os_release: str, expected: str) -> None:
    assert advice("linux", os_release, is_root=False) == expected


def test_root_needs_no_sudo() -> None:
    assert advice("linux", "ID=debian", is_root=True) == "apt install build-essential"


def test_macos_and_windows_are_told_theirs() -> None:
    assert advice("darwin", "", is_root=False) == "xcode-select --install"
    assert "Build Tools for Visual Studio" in advice("win32", "", is_root=False)


def test_the_check_can_be_turned_off_for_ready_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler-anywhere")
    message = missing_compiler() or ""
    assert message.startswith("There is no C++ compiler")
    assert "PUNA_NO_COMPILER_CHECK=1" in message
    monkeypatch.setenv("PUNA_NO_COMPILER_CHECK", "1")
    assert missing_compiler() is None
