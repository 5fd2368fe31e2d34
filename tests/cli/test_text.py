"""`tenon run` and `tenon tokenize` beside recordings of transformers, from checkpoint, ONNX folder and bundle."""

import json
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tenon_program import DATA, DEMO, MODELS, ROOT, json_of, run, succeed

FIXTURES = ROOT / "tests/onnx_fixtures"
DEMOS = ["llama-verse", "neox-instruct"]
GREEDY = ["--precision", "fp32", "--temperature", "0", "--ignore-eos"]


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """The same model as checkpoint, exported ONNX folder, and bundle in float32."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            succeed("export", DEMO / name, folder / "onnx")
            succeed("build", DEMO / name, "-o", folder / "model.tenon", "--precision", "fp32")
            made[name] = {"checkpoint": DEMO / name, "onnx": folder / "onnx", "bundle": folder / "model.tenon"}
        return made[name]

    return make


def joined(ids):
    return ",".join(map(str, np.ravel(ids)))


@pytest.mark.parametrize("form", ["checkpoint", "onnx", "bundle"])
@pytest.mark.parametrize("name", DEMOS)
def test_demo_text(forms, name, form):
    source = forms(name)[form]
    for wanted in json.loads((DEMO / name / "expected.json").read_text())["continuations"]:
        made = json_of("run", source, "-p", wanted["prompt"], *GREEDY, "--max-new-tokens", 64)
        assert made["prompt_ids"] == wanted["prompt_ids"]
        assert made["ids"] == wanted["ids"]
        assert made["finish_reason"] == "length"
        timings = made["timings"]
        assert all(timings[key] > 0 for key in ("load_s", "prefill_s", "decode_s"))
        assert all(timings[key] > 0 for key in ("prefill_tokens_per_s", "decode_tokens_per_s"))


def test_bundle_needs_nothing_beside_it(forms, tmp_path):
    """The bundle carries tokenizer, template and defaults: moved away alone, it answers the same."""
    alone = tmp_path / "alone.tenon"
    alone.write_bytes(forms("neox-instruct")["bundle"].read_bytes())
    question = ["-p", "What is 17 plus 25?", "--chat", "--temperature", 0]
    answers = [succeed("run", source, *question).stdout for source in (alone, DEMO / "neox-instruct")]
    assert answers[0] == answers[1]
    assert "17 plus 25 is 42." in answers[0]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_chat(precision):
    made = json_of("run", DEMO / "neox-instruct", "-p", "What is 17 plus 25?", "--chat", "--temperature", 0,
                   "--precision", precision)
    assert made["text"].strip() == "17 plus 25 is 42."
    assert made["finish_reason"] not in ("length", "")


def test_stream_is_the_text():
    """What is printed while it is written, and what --json returns at the end, are the same text."""
    arguments = ["run", DEMO / "llama-verse", "-p", "KING HENRY.\nO happy", "--temperature", 0, "--max-new-tokens", 40]
    assert succeed(*arguments).stdout == json_of(*arguments)["text"] + "\n"


def test_seed_decides():
    arguments = ["run", DEMO / "llama-verse", "-p", "Psalms", "--temperature", 0.9, "--max-new-tokens", 24]
    first, again, other = (json_of(*arguments, "--seed", seed)["ids"] for seed in (7, 7, 8))
    assert first == again != other


def test_threads_do_not_matter():
    arguments = ["run", DEMO / "llama-verse", "-p", "Psalms", *GREEDY, "--max-new-tokens", 32]
    assert json_of(*arguments, "--threads", 1)["ids"] == json_of(*arguments, "--threads", 3)["ids"]


def test_stop_text():
    arguments = ["run", DEMO / "llama-verse", "-p", "Psalms 151\n\n", "--temperature", 0]
    made = json_of(*arguments, "--stop", "my voice")
    assert made["finish_reason"] == "stop"
    assert made["text"].startswith("I will sing unto the LORD with")
    assert "voice" not in made["text"]


def test_logprobs_and_sequences():
    made = json_of("run", DEMO / "llama-verse", "-p", "Psalms", "--temperature", 1, "--seed", 1,
                   "--max-new-tokens", 8, "--num-return-sequences", 3, "--logprobs", 2)
    assert len(made["sequences"]) == 3
    assert len(made["logprobs"]) == len(made["ids"])
    for token in made["logprobs"]:
        assert token["logprob"] <= 0
        assert [other["logprob"] for other in token["top"]] == sorted(
            (other["logprob"] for other in token["top"]), reverse=True)


INDEX = json.loads((MODELS / "index.json").read_text())
TINY = [name for name in INDEX if name != "llama-wrong-rotary"]


@pytest.mark.parametrize("name", TINY)
def test_tiny_greedy(name):
    expected = np.load(MODELS / name / "expected.npz")
    made = json_of("run", MODELS / name, "--ids", joined(expected["greedy_prompt_ids"]), *GREEDY,
                   "--max-new-tokens", 64)
    assert made["ids"] == expected["greedy_ids"][0].tolist()


@pytest.mark.parametrize("name", ["llama-gqa", "neox-parallel", "llama-yarn"])
def test_tiny_beams(name):
    expected = np.load(MODELS / name / "expected.npz")
    made = json_of("run", MODELS / name, "--ids", joined(expected["greedy_prompt_ids"]), "--num-beams", 4,
                   "--precision", "fp32", "--ignore-eos", "--max-new-tokens", 24)
    assert made["ids"] == expected["beam_ids"][0].tolist()


# What optimum and torch write with a cache. The two-file form runs from the file that has one.
DECODERS = {
    "optimum-llama-14": "", "optimum-llama-18": "", "optimum-llama-O2": "", "optimum-llama-external-18": "",
    "optimum-neox-14": "", "optimum-neox-18": "", "optimum-neox-O2": "",
    "optimum-llama-two-files-14": "decoder_with_past_model.onnx",
    "dynamo-llama-18": "", "dynamo-llama-23": "", "dynamo-neox-18": "",
}


@pytest.mark.parametrize("name", DECODERS)
def test_other_exporters(name):
    entry = json.loads((FIXTURES / "index.json").read_text())[name]
    expected = np.load(FIXTURES / entry["expected"])
    made = json_of("run", FIXTURES / name / DECODERS[name], "--ids", joined(expected["greedy_prompt_ids"]), *GREEDY,
                   "--max-new-tokens", 64)
    assert made["ids"] == expected["greedy_ids"][0].tolist()


def test_stories(tmp_path):
    """A model that others trained, against its authors' greedy text; from the start token alone."""
    folder = DATA / "stories260k"
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    wanted = json.loads((folder / "greedy.json").read_text())["ids"]
    assert len(wanted) == 257
    made = json_of("run", folder / "hf", "--ids", wanted[0], *GREEDY, "--max-new-tokens", 256)
    assert [wanted[0], *made["ids"]] == wanted


LINES = [
    "Hello, world", "  two  spaces ", "naïve café — “quotes”", "日本語のテキスト", "emoji 👩‍👩‍👧 🇩🇪", "1234567890 3.14", "tab\tand\u00a0nbsp",
    "", "a", "</s> <s> <unk>", "### Instruction:", "e\u0301 combining", "\ufeffmark",
]


@pytest.mark.parametrize("name", DEMOS)
def test_tokenize_round_trip(name):
    lines = [json.loads(line) for line in
             succeed("tokenize", DEMO / name, stdin="".join(f"{line}\n" for line in LINES)).stdout.splitlines()]
    assert len(lines) == len(LINES)
    back = succeed("tokenize", DEMO / name, "--decode", "--no-special",
                   stdin="".join(json.dumps(line["ids"]) + "\n" for line in lines))
    texts = [json.loads(line)["text"] for line in back.stdout.splitlines()]
    plain = [at for at, line in enumerate(LINES) if "<s>" not in line and not line.startswith("###")]
    assert [texts[at] for at in plain] == [LINES[at] for at in plain]


def test_tokenize_agrees_between_forms(forms):
    text = "In the beginning\n"
    answers = {succeed("tokenize", source, stdin=text).stdout for source in forms("llama-verse").values()}
    assert len(answers) == 1


def test_tensors(forms, tmp_path):
    """The ONNX folder as a plain function on tensors: logits of the whole prompt."""
    reference = np.load(DEMO / "llama-verse/reference.npz")
    ids, wanted = reference["ids"], reference["logits"]
    np.save(tmp_path / "ids.npy", ids)
    np.save(tmp_path / "mask.npy", np.ones_like(ids))
    np.save(tmp_path / "positions.npy", np.arange(ids.shape[1])[None].repeat(len(ids), 0))
    succeed("export", DEMO / "llama-verse", tmp_path / "onnx", "--no-past")
    out = json_of("run", tmp_path / "onnx/model.onnx", "--input", f"input_ids={tmp_path / 'ids.npy'}", "--input",
                  f"attention_mask={tmp_path / 'mask.npy'}", "--input", f"position_ids={tmp_path / 'positions.npy'}",
                  "--output-dir", tmp_path / "out", "--precision", "fp32")
    found = np.load(out["outputs"]["logits"])
    # Float32 sums in another order: relative 2^-24 a term, some thousand terms on the way, logits of order 10.
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-3


@pytest.mark.parametrize("flags", [["--ids", "1,2", "--chat"], ["-p", "hello", "--system", "be brief"]])
def test_chat_needs_a_prompt_as_text(flags):
    done = run("run", DEMO / "llama-verse", *flags)
    assert done.returncode == 2
    assert "--chat" in done.stderr
