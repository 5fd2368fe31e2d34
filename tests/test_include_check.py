"""The include check finds what it is there for, in a small tree made on the spot."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import include_check

SOUND = {
    "src/base/CMakeLists.txt": "tenon_library(base PACKAGES z)\n",
    "src/base/error.h": "#pragma once\n#include <string>\n",
    "src/graph/CMakeLists.txt": "# the graph\ntenon_library(graph\n  DEPENDS base  # errors\n  PACKAGES z)\n",
    "src/graph/graph.h": '#include "base/error.h"\n',
    "src/graph/ops/add.cpp": '#include "graph/graph.h"\n#include <vector>\n#include "sys/stat.h"\n',
    "src/session/CMakeLists.txt": "tenon_library(session DEPENDS base)\n",
    "src/session/session.cpp": '#include "base/error.h"\n#include "session/session.h"\n',
}


def tree(folder, files={}):
    for name, text in {**SOUND, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_sound_tree(tmp_path):
    assert include_check.check(tree(tmp_path)) == []


FAULTS = {
    "not listed": (
        {"src/base/error.cpp": '// one\n#include "graph/graph.h"\n'},
        "src/base/error.cpp:2: includes graph, which is not in the DEPENDS of src/base/CMakeLists.txt",
    ),
    "only listed by a dependency": (
        {
            "src/onnx/CMakeLists.txt": "tenon_library(onnx DEPENDS graph)\n",
            "src/onnx/reader.cpp": '  #  include "base/error.h"\n',
        },
        "src/onnx/reader.cpp:1: includes base, which is not in the DEPENDS of src/onnx/CMakeLists.txt",
    ),
    "a package is no folder": (
        {
            "src/session/CMakeLists.txt": "tenon_library(session DEPENDS base PACKAGES graph)\n",
            "src/session/session.cpp": '#include "base/error.h"\n\n#include <graph/graph.h>\n',
        },
        "src/session/session.cpp:3: includes graph, but session serves and must not know what compiles",
    ),
    "serving lists what compiles": (
        {"src/session/CMakeLists.txt": "tenon_library(session DEPENDS graph base)\n"},
        "src/session/CMakeLists.txt: session serves and must not depend on graph",
    ),
    "circle": (
        {"src/base/CMakeLists.txt": "tenon_library(base DEPENDS graph)\n"},
        "the folders depend on each other in a circle: base -> graph -> base",
    ),
    "unknown folder": (
        {"src/base/CMakeLists.txt": "tenon_library(base DEPENDS tensors)\n"},
        "src/base/CMakeLists.txt: depends on tensors, which is no folder of src",
    ),
    "no library": (
        {"src/extra/extra.h": "#pragma once\n"},
        "src/extra: has no CMakeLists.txt with a tenon_library call",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_fault(case, tmp_path):
    files, message = FAULTS[case]
    assert include_check.check(tree(tmp_path, files=files)) == [message]


def test_exit_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["include_check.py", str(tree(tmp_path))])
    assert include_check.main() == 0
    (tmp_path / "src/base/error.cpp").write_text('#include "graph/graph.h"\n')
    assert include_check.main() == 1
    assert "src/base/error.cpp:1" in capsys.readouterr().out
