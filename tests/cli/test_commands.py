"""The commands as scripts see them: help, exit codes, JSON, and what is left after a failure."""

import json
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tenon_program import DEMO, MODELS, PROGRAM, ROOT, json_of, refuse, run, succeed

VERSE = DEMO / "llama-verse"
COMMANDS = ["export", "build", "verify", "run", "bench", "inspect", "doctor", "tokenize"]
WRONG_USAGE, BAD_INPUT, RESOURCE, CHECK_FAILED = 2, 3, 4, 1


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "verse.tenon"
    succeed("build", VERSE, "-o", path)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    text = succeed(command, "--help").stdout
    assert f"tenon {command}" in text.split("example:")[1]
    for flag in ("--json", "--threads", "--log"):
        assert flag in text
    assert command in succeed("--help").stdout


USAGE = {
    "no command": [],
    "unknown command": ["frobnicate"],
    "no source": ["run"],
    "unknown flag": ["run", VERSE, "-p", "x", "--frobnicate"],
    "empty prompt": ["run", VERSE, "-p", ""],
    "prompt and ids": ["run", VERSE, "-p", "x", "--ids", "1"],
    "ids that are no numbers": ["run", VERSE, "--ids", "1,x"],
    "id beyond the vocabulary": ["run", VERSE, "--ids", "1,2560"],
    "negative id": ["run", VERSE, "--ids", "1,-1"],
    "too long prompt": ["run", VERSE, "--ids", ",".join(["5"] * 600)],
    "no token wanted": ["run", VERSE, "-p", "x", "--max-new-tokens", "0"],
    "temperature": ["run", VERSE, "-p", "x", "--temperature", "-1"],
    "temperature that is no number": ["run", VERSE, "-p", "x", "--temperature", "hot"],
    "top-p": ["run", VERSE, "-p", "x", "--top-p", "2"],
    "beams": ["run", VERSE, "-p", "x", "--num-beams", "-1"],
    "bias": ["run", VERSE, "-p", "x", "--logit-bias", "x"],
    "precision": ["run", VERSE, "-p", "x", "--precision", "int3"],
    "threads": ["run", VERSE, "-p", "x", "--threads", "-1"],
    "log level": ["run", VERSE, "-p", "x", "--log", "loud"],
    "dtype": ["export", VERSE, "{tmp}/out", "--dtype", "fp8"],
    "opset": ["export", VERSE, "{tmp}/out", "--opset", "9"],
    "memory": ["export", VERSE, "{tmp}/out", "--max-ram", "much"],
    "memory of a build": ["build", VERSE, "-o", "{tmp}/out", "--max-ram", "1M"],
    "target": ["build", VERSE, "-o", "{tmp}/out", "--target", "tpu"],
    "budget": ["build", VERSE, "-o", "{tmp}/out", "--budget", "taste=1"],
    "bench of nothing": ["bench", VERSE, "--new-tokens", "0"],
    "reference and second model": ["verify", VERSE, VERSE, "--reference", VERSE / "reference.npz"],
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage(case, tmp_path):
    arguments = [str(argument).format(tmp=tmp_path) for argument in USAGE[case]]
    refuse(WRONG_USAGE, *arguments)
    assert list(tmp_path.iterdir()) == []


SOURCE_COMMANDS = {
    "run": lambda source, out: ["run", source, "-p", "x"],
    "inspect": lambda source, out: ["inspect", source],
    "doctor": lambda source, out: ["doctor", source],
    "tokenize": lambda source, out: ["tokenize", source],
    "export": lambda source, out: ["export", source, out / "onnx"],
    "build": lambda source, out: ["build", source, "-o", out / "x.tenon"],
    "bench": lambda source, out: ["bench", source],
    "verify": lambda source, out: ["verify", source],
}


def files_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("command", SOURCE_COMMANDS)
@pytest.mark.parametrize("source", ["/nonexistent/model", "empty", "picture.png"])
def test_no_model(command, source, tmp_path):
    (tmp_path / "in/empty").mkdir(parents=True)
    (tmp_path / "in/picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "out").mkdir()
    path = tmp_path / "in" / source
    message = refuse(BAD_INPUT, *SOURCE_COMMANDS[command](path, tmp_path / "out"))
    assert pathlib.Path(source).name in message
    assert files_under(tmp_path / "out") == []


def damaged_checkpoint(folder, name, damage):
    shutil.copytree(MODELS / name, folder)
    damage(folder)
    return folder


def cut(file, share):
    def damage(folder):
        path = folder / file
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return damage


def replace(file, old, new):
    def damage(folder):
        path = folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return damage


def unknown_architecture(folder):
    replace("config.json", '"llama"', '"mamba"')(folder)
    replace("config.json", "LlamaForCausalLM", "MambaForCausalLM")(folder)


def huge_header(folder):
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + path.read_bytes()[8:])


SHARDS = sorted(path.name for path in (MODELS / "llama-sharded").glob("*.safetensors"))
DAMAGES = {
    "truncated shard": ("llama-sharded", cut(SHARDS[-1], 0.7), SHARDS[-1]),
    "missing shard": ("llama-sharded", lambda folder: (folder / SHARDS[0]).unlink(), SHARDS[0]),
    "truncated pickle": ("llama-bin", cut("pytorch_model.bin", 0.5), "pytorch_model.bin"),
    "header of 2^62 bytes": ("llama-gqa", huge_header, "model.safetensors"),
    "config that is no JSON": ("llama-gqa", cut("config.json", 0.5), "config.json"),
    "unknown architecture": ("llama-gqa", unknown_architecture, "Mamba"),
    "hidden size that the weights do not have": (
        "llama-gqa", replace("config.json", '"hidden_size": 32', '"hidden_size": 64'), "64"),
    "heads that do not divide": (
        "llama-gqa", replace("config.json", '"num_key_value_heads": 2', '"num_key_value_heads": 3'), "num_key_value_heads"),
    "negative layers": (
        "llama-gqa", replace("config.json", '"num_hidden_layers": 2', '"num_hidden_layers": -2'), "num_hidden_layers"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_checkpoint(case, tmp_path):
    name, damage, named = DAMAGES[case]
    folder = damaged_checkpoint(tmp_path / "model", name, damage)
    out = tmp_path / "out"
    out.mkdir()
    for arguments in (
        ["run", folder, "--ids", "1,2"],
        ["export", folder, out / "onnx"],
        ["build", folder, "-o", out / "x.tenon"],
    ):
        assert named in refuse(BAD_INPUT, *arguments)
        assert files_under(out) == []


def test_doctor_finds_damage(tmp_path):
    """Values that are not finite are a finding, exit code 1; the checkpoint itself can be read."""
    path = tmp_path / "model"
    shutil.copytree(MODELS / "llama-gqa", path)
    data = bytearray((path / "model.safetensors").read_bytes())
    header = struct.unpack("<Q", data[:8])[0]
    tensors = json.loads(data[8 : 8 + header])
    name = "model.layers.1.mlp.up_proj.weight"
    start = 8 + header + tensors[name]["data_offsets"][0]
    data[start : start + 2] = struct.pack("<H", 0x7FC0)  # a NaN in bfloat16
    (path / "model.safetensors").write_bytes(data)
    found = json_of("doctor", path, code=CHECK_FAILED)
    assert not found["healthy"]
    assert any(name in fault and "NaN" in fault for fault in found["faults"])
    assert json_of("doctor", MODELS / "llama-gqa")["healthy"]


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_truncated_bundle(bundle, share, tmp_path):
    path = tmp_path / "cut.tenon"
    data = bundle.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    for command in ("run", "inspect", "doctor"):
        assert "cut.tenon" in refuse(BAD_INPUT, *SOURCE_COMMANDS[command](path, tmp_path))


def test_flipped_weight_in_bundle(bundle, tmp_path):
    """One wrong bit among the weights: doctor compares the sums."""
    path = tmp_path / "flipped.tenon"
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = run("doctor", path)
    assert result.returncode in (CHECK_FAILED, BAD_INPUT)
    assert json_of("doctor", bundle)["healthy"]


def test_text_needs_a_tokenizer():
    assert "tokenizer" in refuse(BAD_INPUT, "run", MODELS / "llama-gqa", "-p", "x")


def test_folder_that_cannot_be_written(tmp_path):
    message = refuse(RESOURCE, "build", VERSE, "-o", tmp_path / "absent/x.tenon", "--no-verify")
    assert "absent/x.tenon" in message


def test_tokenize_bad_line():
    for line in ("not json", '{"ids": 1}', '["a"]', "[1.5]", "[-1]", "[1e99]", "[99999999999]"):
        result = run("tokenize", VERSE, "--decode", stdin=line + "\n")
        assert result.returncode == BAD_INPUT, line
        assert result.stderr.startswith("tenon: ")


def test_json_objects(bundle):
    made = json_of("run", bundle, "-p", "Psalms", "--max-new-tokens", 4)
    assert set(made) >= {"text", "ids", "prompt_ids", "finish_reason", "timings"}
    assert set(made["timings"]) >= {
        "load_s", "prefill_s", "decode_s", "prefill_tokens_per_s", "decode_tokens_per_s"}
    made = json_of("bench", VERSE, bundle, "--prompt-tokens", 8, "--new-tokens", 4, "--repeat", 2)
    assert [subject["subject"] for subject in made["subjects"]] == ["llama-verse", "verse"]
    assert all(subject["decode_tokens_per_s"] > 0 for subject in made["subjects"])
    assert made["machine"]["read_bytes_per_s"] > 0
    for source, kind in ((VERSE, "checkpoint"), (bundle, "bundle")):
        assert json_of("inspect", source)["kind"] == kind
        assert json_of("doctor", source)["kind"] == kind
    assert json_of("inspect", bundle)["evidence"]["passed"] is True


def check_verdict(found, passed):
    assert found["passed"] is passed
    assert found["metrics"]["positions"] > 0
    departure = found["first_departure"]
    assert departure is None or set(departure) >= {"value", "module", "op", "dtype", "max_abs", "reason"}


@pytest.mark.parametrize("name", ["llama-gqa", "llama-yarn", "llama-bin", "meta-2", "neox-serial"])
def test_verify_recording(name):
    check_verdict(json_of("verify", MODELS / name, "--reference", MODELS / name / "expected.npz"), True)


def test_verify_names_the_wrong_rotary():
    name = "llama-wrong-rotary"
    found = json_of("verify", MODELS / name, "--reference", MODELS / name / "expected.npz", code=CHECK_FAILED)
    check_verdict(found, False)
    departure = found["first_departure"]
    assert departure["module"].startswith("model.layers.0.self_attn")
    assert "rotary" in departure["reason"] and "interleaved" in departure["reason"]


def test_verify_tells_models_apart():
    found = json_of("verify", MODELS / "llama-gqa", MODELS / "llama-mha", code=CHECK_FAILED)
    check_verdict(found, False)


def test_verify_forms(bundle, tmp_path):
    succeed("export", VERSE, tmp_path / "onnx")
    check_verdict(json_of("verify", tmp_path / "onnx", bundle), True)
    check_verdict(json_of("verify", VERSE, tmp_path / "onnx", "--precision", "fp32"), True)


def test_verify_report(bundle, tmp_path):
    succeed("verify", VERSE, bundle, "--report", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<html" in page and "verse" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script src" not in page


def test_verify_prompts(bundle, tmp_path):
    (tmp_path / "prompts.txt").write_text("In the beginning\nKING HENRY.\n")
    found = json_of("verify", VERSE, bundle, "--prompts", tmp_path / "prompts.txt")
    assert len(found["prompts"]) == 2


def test_verify_bad_reference(tmp_path):
    np.savez(tmp_path / "no_logits.npz", ids=np.zeros((1, 3), np.int64))
    assert "logits" in refuse(BAD_INPUT, "verify", VERSE, "--reference", tmp_path / "no_logits.npz")
    data = (VERSE / "reference.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    assert "cut.npz" in refuse(BAD_INPUT, "verify", VERSE, "--reference", tmp_path / "cut.npz")
    assert "absent.npz" in refuse(BAD_INPUT, "verify", VERSE, "--reference", tmp_path / "absent.npz")


def test_build_out_of_budget(tmp_path):
    """No bundle without its proof, and the one that stood there before stays as it was."""
    path = tmp_path / "x.tenon"
    path.write_bytes(b"before")
    message = refuse(CHECK_FAILED, "build", VERSE, "-o", path, "--precision", "int8", "--budget", "kl=1e-12")
    assert "KL" in message and "departure" in message
    assert path.read_bytes() == b"before"
    assert files_under(tmp_path) == ["x.tenon"]


def sparse_checkpoint(folder, hidden=2048, inner=5632, vocabulary=32000):
    """Half a billion zeros as a Llama: large enough to be interrupted, and no more than a header on disk."""
    layers = 8
    config = json.loads((MODELS / "llama-mha/config.json").read_text())
    config.update(hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, vocab_size=vocabulary,
                  num_attention_heads=hidden // 128, num_key_value_heads=hidden // 128, head_dim=128)
    shapes = {"model.embed_tokens.weight": [vocabulary, hidden], "lm_head.weight": [vocabulary, hidden],
              "model.norm.weight": [hidden]}
    for layer in range(layers):
        for name, shape in {
            "input_layernorm": [hidden], "post_attention_layernorm": [hidden],
            "self_attn.q_proj": [hidden, hidden], "self_attn.k_proj": [hidden, hidden],
            "self_attn.v_proj": [hidden, hidden], "self_attn.o_proj": [hidden, hidden],
            "mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden], "mlp.down_proj": [hidden, inner],
        }.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return folder


@pytest.mark.parametrize("command", ["export", "build"])
def test_interrupt(command, tmp_path):
    """Ctrl-C while weights are written: exit code 130, what stood there before is whole, and nothing is new but
    the part of a build that it can go on with."""
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built")
    source = sparse_checkpoint(tmp_path / "model")
    out = tmp_path / "out"
    out.mkdir()
    arguments = {
        "export": ["export", source, out],
        "build": ["build", source, "-o", out / "x.tenon", "--precision", "fp32", "--no-verify"],
    }[command]
    before = {"export": "model.onnx", "build": "x.tenon"}[command]
    (out / before).write_bytes(b"before")
    process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if any(path.name != before and path.stat().st_size > 1 << 20 for path in out.iterdir()):
            break
        time.sleep(0.002)
    assert process.poll() is None, "it was done before it could be interrupted"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr.decode()
    left = {"export": [], "build": ["x.tenon.part", "x.tenon.part.journal"]}[command]
    assert files_under(out) == [before, *left]
    assert all(name in stderr.decode() for name in left[:1])
    assert (out / before).read_bytes() == b"before"
