"""Builds that were stopped and go on, and builds that must do with little memory."""

import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from test_commands import BAD_INPUT, CHECK_FAILED, VERSE, files_under, sparse_checkpoint
from tenon_program import PROGRAM, json_of, refuse, succeed

# Kernels by rule: what measures fastest may differ from one run to the next, and the bundle with it.
QUICK = ("-O1", "--no-verify")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return sparse_checkpoint(tmp_path_factory.mktemp("source") / "model", hidden=1024, inner=2816, vocabulary=8000)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "x.tenon"
    succeed("build", source, "-o", path, *QUICK)
    return path


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_after(constants, source, path, *flags):
    """Ends a build by SIGKILL as soon as its journal has that many constants."""
    journal = path.with_name(path.name + ".part.journal")
    process = subprocess.Popen([PROGRAM, "build", str(source), "-o", str(path), *flags],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while process.poll() is None and lines(journal) <= constants and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait()
    if not journal.exists():
        pytest.skip("it was done before it could be killed")


@pytest.mark.parametrize("constants", [1, 12, 30])
def test_killed_build_goes_on(constants, source, whole, tmp_path):
    path = tmp_path / "x.tenon"
    kill_after(constants, source, path, *QUICK)
    assert not path.exists()
    found = json_of("build", source, "-o", path, *QUICK)
    assert found["restored_bytes"] > 0
    assert path.read_bytes() == whole.read_bytes()
    assert files_under(tmp_path) == ["x.tenon"]


def test_damaged_part_is_packed_anew(source, whole, tmp_path):
    path = tmp_path / "x.tenon"
    kill_after(20, source, path, *QUICK)
    part = tmp_path / "x.tenon.part"
    with open(part, "r+b") as file:
        file.truncate(part.stat().st_size // 2)
        file.seek(4096 + 5)
        file.write(b"\x55")
    with open(tmp_path / "x.tenon.part.journal", "ab") as file:
        file.write(b'{"name": "cut o')
    found = json_of("build", source, "-o", path, *QUICK)
    assert found["restored_bytes"] == 0
    assert path.read_bytes() == whole.read_bytes()


def test_other_options_start_anew(source, tmp_path):
    path = tmp_path / "x.tenon"
    kill_after(12, source, path, *QUICK)
    assert json_of("build", source, "-o", path, *QUICK, "--precision", "int8")["restored_bytes"] == 0


def test_no_resume_leaves_nothing(source, tmp_path):
    path = tmp_path / "x.tenon"
    kill_after(12, source, path, *QUICK)
    part = (tmp_path / "x.tenon.part").read_bytes()
    assert json_of("build", source, "-o", path, *QUICK, "--no-resume")["restored_bytes"] == 0
    assert (tmp_path / "x.tenon.part").read_bytes() == part  # another build's
    assert json_of("build", source, "-o", path, *QUICK)["restored_bytes"] > 0


def test_a_failed_build_leaves_no_part(tmp_path):
    refuse(CHECK_FAILED, "build", VERSE, "-o", tmp_path / "x.tenon", "--precision", "int8", "--budget", "kl=1e-12")
    refuse(BAD_INPUT, "build", tmp_path, "-o", tmp_path / "x.tenon")
    assert files_under(tmp_path) == []


def peak_of(arguments):
    """Greatest resident anonymous and mapped memory, in bytes."""
    process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = {"RssAnon": 0, "RssFile": 0, "VmRSS": 0}
    while process.poll() is None:
        try:
            for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in peak:
                    peak[key] = max(peak[key], int(value.split()[0]) * 1024)
        except OSError:
            break
        time.sleep(0.005)
    assert process.wait() == 0, process.stderr.read().decode()
    return peak


def test_build_stays_near_its_memory(source, tmp_path):
    """The reference run of 120 million weights is 0.5 GB; a build with its proof does with less than half of that."""
    limit = 200_000_000
    peak = peak_of(["build", source, "-o", tmp_path / "x.tenon", "--max-ram", limit, "-O1", "--verify-tokens", "2"])
    assert peak["VmRSS"] < 1.25 * limit
