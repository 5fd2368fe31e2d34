"""Exported picture models beside what diffusers and transformers answered for the same checkpoint, computed by ONNX Runtime.

Names and folders are those that users of optimum, or of diffusers' conversion script, know; expected.npz is described in
tests/models_images/README.md.
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tenon_program import ROOT, json_of, refuse, succeed

MODELS = ROOT / "tests/models_images"
PIPELINE = MODELS / "pipeline"
RECORDED = sorted(path.parent.name for path in MODELS.glob("*/expected.npz"))
ANY_SIZE = "unet-any-size"  # at a size that takes another graph, which no exporter of these layouts writes
UNETS = [name for name in RECORDED if name.startswith("unet-") and name != ANY_SIZE]
TEXTS = [name for name in RECORDED if name.startswith("clip-")]
AUTOENCODERS = [name for name in RECORDED if name.startswith(("vae-", "tiny-"))]
OPSETS = [17, 18, 21, 23, 24]
HALVES = {"encoder": "vae_encoder", "decoder": "vae_decoder"}
PLACES = {"unet": "unet", "clip": "text_encoder", "vae": "vae", "tiny": "vae"}

# The recordings are exact to float32. Each of some 60 layers rounds its result once, 6e-8 relative, and sums some hundred
# products in float32, which adds ten times that: 60 * 6e-7 in the worst case, a quarter of it as a random walk.
TOLERANCE = 1e-5
# From opset 21 on the file says GroupNormalization, which ONNX defines as a function with the variance E[x^2] - E[x]^2, and
# ONNX Runtime computes it so: 6e-8 of E[x^2] is then 6e-6 of a variance that is a hundredth of it, half of that in a result.
# Some norms of these tiny groups are like that; ten such errors after each other are allowed.
NORM_TOLERANCE = TOLERANCE + 10 * 3e-6
# Each of some 400 nodes rounds its result to half a unit in the last place: 2^-11 relative. Such errors add up like a random
# walk, 20 steps of it.
HALF_TOLERANCE = 20 * 2.0**-11


def source_of(name, folder):
    """A recorded part alone as a model that diffusers would save."""
    place = PLACES[name.split("-")[0]]
    shutil.copytree(MODELS / name, folder / place)
    config = json.loads((MODELS / name / "config.json").read_text())
    found = config.get("_class_name") or config["architectures"][0]
    library = "transformers" if place == "text_encoder" else "diffusers"
    index = {"_class_name": "StableDiffusionPipeline", place: [library, found]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Exports a part alone, or a whole model, once for each set of flags."""
    made = {}

    def make(name, *flags):
        if (name, flags) not in made:
            folder = tmp_path_factory.mktemp("export")
            whole = (MODELS / name / "model_index.json").exists()
            source = MODELS / name if whole else source_of(name, tmp_path_factory.mktemp("source"))
            succeed("export", source, folder, *flags)
            made[name, flags] = folder
        return made[name, flags]

    return make


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


NUMPY = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


def answers(path, arrays, prefix="", **others):
    """Outputs by name; inputs by name from arrays behind the prefix, in the types of the file."""
    model = session(path)
    feeds = {value.name: np.asarray(others.get(value.name, arrays.get(prefix + value.name)), NUMPY[value.type])
             for value in model.get_inputs()}
    return dict(zip([value.name for value in model.get_outputs()], model.run(None, feeds)))


def distance(found, expected):
    assert found.shape == expected.shape
    expected = expected.astype(np.float64)
    return np.linalg.norm(found.astype(np.float64) - expected) / np.linalg.norm(expected)


def expect_close(found, expected, bound=TOLERANCE):
    for name, value in found.items():
        assert distance(value, expected[name]) <= bound, name


def recorded(name):
    return dict(np.load(MODELS / name / "expected.npz"))


def element_types(path):
    graph = onnx.load(path, load_external_data=False).graph
    return {value.name: value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]}


@pytest.mark.parametrize("name", [*UNETS, *TEXTS, *AUTOENCODERS])
def test_checker_accepts_every_opset(export, name):
    for opset in OPSETS:
        models = sorted(export(name, "--opset", str(opset)).glob("*/model.onnx"))
        assert models
        for path in models:
            onnx.checker.check_model(path, full_check=True)
            model = onnx.load(path)
            assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
            assert all(node.domain == "" for node in model.graph.node)


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("name", UNETS)
def test_unet(export, name, opset):
    arrays = recorded(name)
    if "timestep" not in arrays:
        pytest.skip("recorded at fractions of a step only: the other layout takes them")
    path = export(name, "--opset", str(opset)) / "unet/model.onnx"
    expect_close(answers(path, arrays), arrays)
    assert element_types(path)["timestep"] == TensorProto.INT64


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("name", UNETS)
def test_unet_of_the_script(export, name, opset):
    """A time for each picture; then one time for both, as pipelines over this layout pass it."""
    arrays = recorded(name)
    folder = export(name, "--opset", str(opset), "--layout", "diffusers")
    path = folder / "unet/model.onnx"
    found = answers(path, arrays, timestep=arrays["timesteps"])
    expect_close(found, {"out_sample": arrays["out_sample_each"]})
    if "timestep" in arrays:
        expect_close(answers(path, arrays, timestep=[arrays["timestep"]]), arrays)
    assert element_types(path)["timestep"] == TensorProto.FLOAT
    assert (folder / "unet/weights.pb").exists()


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("name", TEXTS)
def test_text_encoder(export, name, opset):
    arrays = recorded(name)
    path = export(name, "--opset", str(opset)) / "text_encoder/model.onnx"
    expect_close(answers(path, arrays), arrays)
    assert element_types(path)["input_ids"] == TensorProto.INT64
    script = export(name, "--opset", str(opset), "--layout", "diffusers") / "text_encoder/model.onnx"
    expect_close(answers(script, arrays), arrays)
    assert element_types(script)["input_ids"] == TensorProto.INT32


def halves_of(arrays, half):
    return {name.removeprefix(half + "."): value for name, value in arrays.items() if name.startswith(half)}


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("name", AUTOENCODERS)
def test_autoencoder(export, name, opset):
    folder = export(name, "--opset", str(opset))
    script = export(name, "--opset", str(opset), "--layout", "diffusers")
    for half, part in HALVES.items():
        arrays = halves_of(recorded(name), half)
        expect_close(answers(folder / part / "model.onnx", arrays), arrays)
        if "latent_parameters" in arrays:  # the script's encoder gives latents: ours their mean
            arrays["latent_sample"] = np.split(arrays["latent_parameters"], 2, axis=1)[0]
        found = answers(script / part / "model.onnx", arrays)
        assert list(found) == [{"encoder": "latent_sample", "decoder": "sample"}[half]]
        expect_close(found, arrays)


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("name", ["unet-base", "unet-sd1", "unet-sd2", "vae-base", "vae-sd"])
def test_another_size(export, name, opset):
    """Other batch, height, width and length of text through the files that the tests above use."""
    arrays = {key.removeprefix(name + "/"): value
              for key, value in np.load(pathlib.Path(__file__).parent / "sizes.npz").items() if key.startswith(name + "/")}
    folder = export(name, "--opset", str(opset))
    bound = TOLERANCE if opset < 21 else NORM_TOLERANCE
    if name.startswith("unet"):
        return expect_close(answers(folder / "unet/model.onnx", arrays), arrays, bound)
    for half, part in HALVES.items():
        expect_close(answers(folder / part / "model.onnx", halves_of(arrays, half)), halves_of(arrays, half), bound)


@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("name", ["unet-base", "unet-sd1", "unet-sd2", "clip-base", "clip-gelu", "vae-base", "vae-sd"])
def test_float16(export, name, opset):
    folder = export(name, "--dtype", "fp16", "--opset", str(opset))
    for path in folder.glob("*/model.onnx"):
        onnx.checker.check_model(path, full_check=True)
        arrays, half = recorded(name), path.parent.name.removeprefix("vae_")
        arrays = halves_of(arrays, half) if name.startswith("vae") else arrays
        found = answers(path, arrays)
        assert all(value.dtype == np.float16 for value in found.values())
        expect_close(found, arrays, HALF_TOLERANCE)


@pytest.mark.parametrize(("name", "upcast"), [("unet-sd2", True), ("unet-sd1", False)])
def test_attention_is_upcast_where_the_config_says_so(export, name, upcast):
    """The scores themselves are float32 products then: float16 may overflow."""
    assert json.loads((MODELS / name / "config.json").read_text())["upcast_attention"] == upcast
    model = onnx.shape_inference.infer_shapes(onnx.load(export(name, "--dtype", "fp16") / "unet/model.onnx"))
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    makers = {node.output[0]: node for node in model.graph.node}
    attentions = [node for node in model.graph.node if node.op_type == "Softmax"]
    assert attentions
    for node in attentions:
        scores = node.input[0]
        while makers[scores].op_type == "Cast":
            scores = makers[scores].input[0]
        assert makers[scores].op_type == "MatMul"
        assert types[scores] == (TensorProto.FLOAT if upcast else TensorProto.FLOAT16)


def test_bfloat16_is_accepted(export):
    """ONNX Runtime has no bfloat16 products on a CPU. Convolutions of them came with opset 22."""
    for path in export("pipeline", "--dtype", "bf16", "--opset", "23").glob("*/model.onnx"):
        onnx.checker.check_model(path, full_check=True)
        assert TensorProto.BFLOAT16 in element_types(path).values()


@pytest.mark.parametrize("source", ["pipeline", "latent-1", "latent-2"])
def test_whole_models(export, tmp_path, source):
    """A folder as diffusers saves it, and single files of both generations."""
    folder = export(source) if source == "pipeline" else tmp_path / "out"
    if source != "pipeline":
        (path,) = [file for file in (MODELS / source).iterdir() if file.suffix in (".safetensors", ".ckpt")]
        succeed("export", path, folder)
    arrays = recorded(source)
    parts = sorted(path.parent.name for path in folder.glob("*/model.onnx"))
    assert {"text_encoder", "unet"} <= set(parts)
    for part in parts:
        expected = {name.removeprefix(part + "."): value for name, value in arrays.items() if name.startswith(part + ".")}
        found = answers(folder / part / "model.onnx", expected)
        expect_close({name: value for name, value in found.items() if name in expected}, expected)
        assert (folder / part / "config.json").exists()
    assert (folder / "scheduler/scheduler_config.json").exists()


def test_files_that_optimum_loads(export):
    folder = export("pipeline")
    for file in ("tokenizer/vocab.json", "tokenizer/merges.txt", "scheduler/scheduler_config.json"):
        assert (folder / file).read_bytes() == (PIPELINE / file).read_bytes()
    index = json.loads((folder / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline" and index["vae"] == ["diffusers", "AutoencoderKL"]
    vae = json.loads((PIPELINE / "vae/config.json").read_text())
    for part in ("vae_encoder", "vae_decoder"):
        assert json.loads((folder / part / "config.json").read_text()) == vae


def test_files_that_diffusers_loads(export):
    folder = export("pipeline", "--layout", "diffusers")
    index = json.loads((folder / "model_index.json").read_text())
    assert index["_class_name"] == "OnnxStableDiffusionPipeline" and "vae" not in index
    for part in ("text_encoder", "unet", "vae_encoder", "vae_decoder"):
        assert index[part] == ["diffusers", "OnnxRuntimeModel"]


def test_what_does_not_come_along_is_null(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(PIPELINE, source)
    index = json.loads((source / "model_index.json").read_text())
    index.update(safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"], requires_safety_checker=True,
                 feature_extractor=["transformers", "CLIPImageProcessor"])
    (source / "model_index.json").write_text(json.dumps(index))
    succeed("export", source, tmp_path / "out")
    index = json.loads((tmp_path / "out/model_index.json").read_text())
    assert index["safety_checker"] == index["feature_extractor"] == [None, None]
    assert index["requires_safety_checker"] is False


def test_weights_go_outside_where_memory_is_short(tmp_path):
    made = json_of("export", PIPELINE, tmp_path / "out", "--max-ram", "64K")
    assert made["layout"] == "optimum"
    sizes = {part["part"]: part["weight_bytes"] for part in made["parts"]}
    assert sum(sizes.values()) == made["weight_bytes"]
    for part, size in sizes.items():
        assert (tmp_path / "out" / part / "model.onnx_data").exists() == (size > 32000), part
    arrays = recorded("pipeline")
    expected = {name.removeprefix("unet."): value for name, value in arrays.items() if name.startswith("unet.")}
    expect_close(answers(tmp_path / "out/unet/model.onnx", expected), expected)


def test_same_bytes_twice(export, tmp_path):
    first = export("pipeline")
    succeed("export", PIPELINE, tmp_path / "again", "--threads", "1")
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert files
    for file in files:
        assert (first / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_refusals(export, tmp_path):
    assert "only a checkpoint" in refuse(2, "export", export("pipeline"), tmp_path / "out")
    assert "own folder" in refuse(2, "export", PIPELINE, PIPELINE)
    assert "--no-past" in refuse(2, "export", PIPELINE, tmp_path / "out", "--no-past")
    text = ROOT / "tests/models/llama-gqa"
    assert "picture models" in refuse(2, "export", text, tmp_path / "out", "--layout", "diffusers")
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_for_a_model_that_is_not_supported(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(PIPELINE, source)
    config = json.loads((source / "vae/config.json").read_text())
    (source / "vae/config.json").write_text(json.dumps({**config, "act_fn": "snake"}))
    assert "vae_encoder" in refuse(3, "export", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["optimum", "diffusers"])
def test_exports_come_back(export, tmp_path, layout):
    """What was written is a model to run again: the parts give the recorded outputs."""
    folder, arrays = export("pipeline", "--layout", layout), recorded("pipeline")
    model = onnx.load(folder / "unet/model.onnx", load_external_data=False)
    arguments = []
    for value in model.graph.input:
        array = arrays["unet." + value.name]
        if value.name == "timestep" and layout == "diffusers":
            array = np.full(2, array, np.float32)
        np.save(tmp_path / f"{value.name}.npy", array)
        arguments += ["--input", f"{value.name}={tmp_path / value.name}.npy"]
    succeed("run", folder / "unet", *arguments, "--precision", "fp32", "--output-dir", tmp_path / "made")
    expect_close({"unet.out_sample": np.load(tmp_path / "made/out_sample.npy")}, arrays)


@pytest.mark.parametrize("layout", ["optimum", "diffusers"])
def test_exports_draw_what_the_checkpoint_draws(export, tmp_path, layout):
    """Two float32 implementations that sum in another order: a pixel may be rounded to the next of 256 levels."""
    image = pytest.importorskip("PIL.Image")
    flags = ["-p", "a b", "--steps", "4", "--seed", "1", "--width", "16", "--height", "16", "--precision", "fp32"]
    pictures = []
    for source in (PIPELINE, export("pipeline", "--layout", layout)):
        file = tmp_path / f"{len(pictures)}.png"
        succeed("run", source, *flags, "-o", file)
        pictures.append(np.asarray(image.open(file), np.int64))
    assert pictures[0].std() > 1
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
