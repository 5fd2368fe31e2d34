"""Faults of whole models as the commands meet them: damaged and mixed files, and exports that lack something."""

import json
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tenon_program import DEMO, ROOT, json_of, run, succeed

TINY = ROOT / "tests/text_to_image/tiny"
IMAGES = ROOT / "tests/models_images"
CHECK_FAILED, BAD_INPUT = 1, 3


@pytest.fixture
def model(tmp_path):
    """A copy of the tiny picture model to damage."""
    return pathlib.Path(shutil.copytree(TINY, tmp_path / "model"))


def faults_of(model, code=CHECK_FAILED):
    done = run("doctor", model, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return " ".join(json.loads(done.stdout)["faults"]) if done.stdout else done.stderr


def test_sound(model):
    assert json_of("doctor", model)["faults"] == []
    report = json_of("verify", model)
    assert report["passed"] and len(report["parts"]) == 4


def test_truncated_download(model):
    weights = model / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    done = run("doctor", model)
    assert done.returncode == BAD_INPUT
    assert "diffusion_pytorch_model.safetensors" in done.stderr
    assert any(word in done.stderr for word in ("truncated", "cut", "ends", "incomplete", "beyond")), done.stderr


def test_pointer_in_place_of_weights(model):
    weights = model / "unet/diffusion_pytorch_model.safetensors"
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    done = run("doctor", model)
    assert done.returncode == BAD_INPUT
    assert "diffusion_pytorch_model.safetensors" in done.stderr


def test_files_of_two_checkpoints(model):
    """The config of one unet beside the weights of another."""
    shutil.copy(IMAGES / "unet-depths/config.json", model / "unet/config.json")
    done = run("doctor", model)
    assert done.returncode == BAD_INPUT
    assert "cross_attention_dim" in done.stderr and "mixed up" in done.stderr


def test_text_encoder_of_another_model(model):
    """Each file is whole; together they do not fit."""
    shutil.rmtree(model / "text_encoder")
    shutil.copytree(IMAGES / "clip-base", model / "text_encoder")
    done = run("run", model, "-p", "a cat", "--steps", "1", "-o", model / "out.png")
    assert done.returncode != 0
    assert "text encoder" in done.stderr and "checkpoint" in done.stderr


def test_nan_is_found_by_doctor(model):
    weights = model / "vae/diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    header = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:8 + header])
    name, entry = next((n, e) for n, e in entries.items() if n.endswith("conv1.weight"))
    begin = 8 + header + entry["data_offsets"][0]
    data[begin:begin + 4] = b"\x00\x00\xc0\x7f"
    weights.write_bytes(data)
    assert f"{name}: 1 NaN" in faults_of(model)


def test_another_models_weights(model, tmp_path):
    """Two models that differ in one weight: verify names it."""
    weights = model / "unet/diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    header = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:8 + header])
    name = "mid_block.attentions.0.proj_in.weight"
    begin, end = (8 + header + at for at in entries[name]["data_offsets"])
    for at in range(begin, end, 4):
        data[at + 3] ^= 0x80  # the sign
    weights.write_bytes(data)
    page = tmp_path / "page.html"
    done = run("verify", TINY, model, "--json", "--report", page)
    assert done.returncode == CHECK_FAILED
    report = json.loads(done.stdout)
    assert report["parts"][0]["part"] == "unet" and report["first_departure"]["cause"] == "different-weight"
    assert name in report["first_departure"]["reason"]
    assert all(part["passed"] for part in report["parts"][1:])
    assert name in page.read_text()
    assert json_of("verify", TINY, model, "--part", "vae_decoder")["passed"]


@pytest.fixture(scope="module")
def cacheless(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cacheless") / "onnx"
    succeed("export", DEMO / "llama-verse", folder, "--no-past")
    return folder


def test_decoder_without_a_cache(cacheless):
    """It works by recomputing the prompt, with the same text, and says how to get a fast one."""
    arguments = ["-p", "The sea", "--max-new-tokens", "12", "--temperature", "0", "--precision", "fp32"]
    wanted = json_of("run", DEMO / "llama-verse", *arguments)
    done = run("run", cacheless, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ids"] == wanted["ids"]
    assert "recomputes" in done.stderr and "past_key_values" in done.stderr


def test_sampling_without_a_cache(cacheless):
    arguments = ["-p", "The sea", "--max-new-tokens", "8", "--temperature", "0.8", "--seed", "7",
                 "--num-return-sequences", "2", "--precision", "fp32"]
    wanted = json_of("run", DEMO / "llama-verse", *arguments)
    found = json_of("run", cacheless, *arguments)
    assert [s["ids"] for s in found["sequences"]] == [s["ids"] for s in wanted["sequences"]]


def test_bench_without_a_cache_says_what_to_do(cacheless):
    done = run("bench", cacheless)
    assert done.returncode == BAD_INPUT
    assert "past_key_values" in done.stderr


def test_padding_on_the_wrong_side(tmp_path):
    decoder = pathlib.Path(shutil.copytree(DEMO / "llama-verse", tmp_path / "decoder"))
    config = decoder / "tokenizer_config.json"
    settings = json.loads(config.read_text())
    for side, told in (("left", False), ("right", True)):
        config.write_text(json.dumps(dict(settings, padding_side=side)))
        notes = " ".join(json_of("doctor", decoder)["notes"])
        assert ('"padding_side": "left"' in notes) == told


def test_rows_that_are_masked_wholly(tmp_path):
    """A float16 decoder whose mask is minus infinity: NaN in ONNX Runtime as soon as a batch is padded."""
    onnx = pytest.importorskip("onnx")
    succeed("export", ROOT / "tests/models/llama-gqa", tmp_path, "--dtype", "fp16")
    assert "minus infinity" not in " ".join(json_of("doctor", tmp_path)["notes"])
    model = onnx.load(tmp_path / "model.onnx")
    changed = 0
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.size == 1 and values.dtype.kind == "f" and values.reshape(-1)[0] < -1e3:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values * float("inf"), tensor.name))
            changed += 1
    assert changed == 1
    onnx.save(model, tmp_path / "model.onnx")
    assert "lowest finite number" in " ".join(json_of("doctor", tmp_path)["notes"])
