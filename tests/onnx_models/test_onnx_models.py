"""ONNX models of others: `tenon run` computes the outputs that ONNX Runtime recorded, or names what it lacks."""

import numpy
import pytest

import tenon_program
from tenon_program import refuse, succeed

onnx = pytest.importorskip("onnx")
numpy_helper = pytest.importorskip("onnx.numpy_helper")

# Every product below is of float32 numbers and sums at most a few thousand of them, a few dozen layers deep; both
# programs round each sum once or in some order. That is 1e-5 of the largest output at worst, and the recordings were
# made with fused layers: 1e-3 leaves room for them and none for a wrong formula.
TOLERANCE = 1e-3

MODELS = ["face-rfb-320", "sed-unet", "ppocr-cls", "magika-v3-3"]
REFUSED = [
    ("silero-vad-16k-op15", "/model/decoder/If", "operator If"),
    ("silero-vad-16k-sequence", "/recurrent/LSTM", "operator LSTM"),
    ("byte-bilstm", "LSTM_9", "operator LSTM"),
]


def folder_of(name):
    folder = tenon_program.DATA / "onnx" / name
    if not (folder / "model.onnx").exists():
        pytest.skip(f"{folder} is absent: TENON_TEST_DATA names the folder of the larger test data")
    return folder


def read(path):
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


def inputs_and_outputs(model):
    graph = onnx.load(str(model)).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in weights], [value.name for value in graph.output]


@pytest.mark.parametrize("name", MODELS)
def test_computes_the_recorded_outputs(name, tmp_path):
    folder = folder_of(name)
    inputs, outputs = inputs_and_outputs(folder / "model.onnx")
    sets = sorted(folder.glob("test_data_set_*"))
    assert sets
    for data in sets:
        arguments = []
        for place, value in enumerate(inputs):
            numpy.save(tmp_path / f"input_{place}.npy", read(data / f"input_{place}.pb"))
            arguments += ["--input", f"{value}={tmp_path / f'input_{place}.npy'}"]
        succeed("run", folder / "model.onnx", *arguments, "--precision", "fp32", "--output-dir", tmp_path / "out")
        for place, value in enumerate(outputs):
            expected = read(data / f"output_{place}.pb")
            found = numpy.load(tmp_path / "out" / (value.replace("/", "_") + ".npy"))
            assert found.dtype == expected.dtype and found.shape == expected.shape
            assert numpy.abs(found - expected).max() <= TOLERANCE * numpy.abs(expected).max(), f"{data.name}: {value}"


@pytest.mark.parametrize(("name", "node", "reason"), REFUSED)
def test_names_the_operator_and_the_node_that_it_lacks(name, node, reason, tmp_path):
    numpy.save(tmp_path / "x.npy", numpy.zeros(1, numpy.float32))
    message = refuse(
        3, "run", folder_of(name) / "model.onnx", "--input", f"input={tmp_path / 'x.npy'}", "--output-dir", tmp_path
    )
    assert node in message and reason in message
