"""The program under test: how the tests find it and run it.

TENON_BIN names the program; without it, it is build/release/bin/tenon. TENON_TEST_DATA names the folder of the
larger test data; without it, that is ../shared/data. Tests that lack one of them are skipped.
"""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODELS = ROOT / "tests/models"
DEMO = ROOT / "demo"
DATA = pathlib.Path(os.environ.get("TENON_TEST_DATA", ROOT / "../shared/data"))
PROGRAM = pathlib.Path(os.environ.get("TENON_BIN", ROOT / "build/release/bin/tenon"))


def run(*arguments, stdin="", timeout=300):
    """Runs to the end, whatever the exit code; the result has returncode, stdout and stderr as text."""
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built")
    result = subprocess.run(
        [PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=timeout,
        encoding="utf-8",
    )
    assert result.returncode >= 0, f"ended by signal {-result.returncode}: {result.stderr}"
    return result


def succeed(*arguments, **options):
    result = run(*arguments, **options)
    assert result.returncode == 0, f"exit code {result.returncode}: {result.stderr}"
    return result


def json_of(*arguments, code=0, **options):
    """The object that --json prints, which must be the only thing on standard output."""
    result = run(*arguments, "--json", **options)
    assert result.returncode == code, f"exit code {result.returncode}: {result.stderr}"
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def refuse(code, *arguments, **options):
    """The message of a run that must end with this exit code, print no result and say why on one screen."""
    result = run(*arguments, **options)
    assert result.returncode == code, f"exit code {result.returncode}: {result.stderr}"
    assert result.stdout == ""
    assert 0 < len(result.stderr) < 4000
    assert "terminate called" not in result.stderr
    return result.stderr
