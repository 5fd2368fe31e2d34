"""Makes the checkpoint folders of this directory from what the training scripts wrote, and records what transformers
answers for them in float32 on a CPU: python record.py [--work DIR] [--out DIR]

expected.json has greedy continuations, reference.npz the logits of one prompt (names as in tests/models/README.md).
"""
import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXForCausalLM, GenerationConfig, LlamaForCausalLM

import train_llama_verse
import train_neox_instruct
from prompts import END_KEY, prompt

HERE = Path(__file__).resolve().parent
NEW = 64
VERSE = ["Psalms 151\n\n", "KING HENRY.\nO happy England,", "Sonnet\n\nShall I compare"]
INSTRUCT = [prompt(text) for text in ("What does the word river mean?", "What is 17 plus 25?", "Use mess in a sentence.")]
SAMPLED = dict(do_sample=True, temperature=0.8, top_p=0.95)


def build(name, work, model_class, config, generation):
    folder, trained = HERE / name, work / name / "trained"
    shutil.rmtree(folder, ignore_errors=True)
    model = model_class(config).to(torch.bfloat16)
    model.load_state_dict(load_file(trained / "model.safetensors"))
    model.generation_config = GenerationConfig(**generation)
    model.save_pretrained(folder)
    for path in (work / name).glob("*token*"):
        shutil.copy(path, folder)
    shutil.copy(trained / "training.json", folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def load(folder):
    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def greedy(model, ids, new):
    """New ids without an end token, and the smallest distance between the best two logits."""
    model.generation_config = GenerationConfig(eos_token_id=None, pad_token_id=0)
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False,
                         return_dict_in_generate=True, output_logits=True)
    best = torch.stack(out.logits, 1).topk(2).values
    return out.sequences[0, ids.shape[1]:].tolist(), float((best[..., 0] - best[..., 1]).min())


def expected(folder, prompts):
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in prompts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        new, gap = greedy(model, ids, NEW)
        rows.append({"prompt": text, "prompt_ids": ids[0].tolist(), "ids": new, "smallest_gap": round(gap, 5),
                     "text": tokenizer.decode(new)})
        print(f"--- {text!r} (gap {gap:.4f})\n{rows[-1]['text']}\n", flush=True)
    (folder / "expected.json").write_text(json.dumps(
        {"note": "greedy, float32, no end token, transformers 4.57 on a CPU", "continuations": rows}, indent=1) + "\n")


@torch.no_grad()
def reference(folder, text):
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text, return_tensors="pt").input_ids
    hidden = {}
    layers = model.model.layers if hasattr(model, "model") else model.gpt_neox.layers
    for index, layer in enumerate(layers):
        layer.register_forward_hook(lambda _, __, out, index=index: hidden.__setitem__(
            f"hidden.{index}", out[0] if isinstance(out, tuple) else out))
    arrays = {"ids": ids, "logits": model(ids).logits, **dict(sorted(hidden.items()))}
    step = model(ids[:, :7], use_cache=True)
    logits = [step.logits[:, -1]]
    for at in range(7, ids.shape[1]):
        step = model(ids[:, at:at + 1], past_key_values=step.past_key_values, use_cache=True)
        logits.append(step.logits[:, -1])
    arrays |= {"decode_ids": ids, "decode_logits": logits[-1]}
    np.savez(folder / "reference.npz", **{name: value.numpy() for name, value in arrays.items()})


@torch.no_grad()
def samples(folder, prompts, new):
    """What a reader sees: sampled for verse, greedy to the end token for the rest."""
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    for seed, text in enumerate(prompts):
        torch.manual_seed(seed)
        ids = tokenizer(text, return_tensors="pt").input_ids
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, pad_token_id=0)
        print(f"=== {tokenizer.decode(out[0], skip_special_tokens=True)}\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".data"))
    work = parser.parse_args().work
    verse = build("llama-verse", work, LlamaForCausalLM, train_llama_verse.config(),
                  dict(bos_token_id=1, eos_token_id=2, **SAMPLED))
    end = AutoTokenizer.from_pretrained(work / "neox-instruct").convert_tokens_to_ids(END_KEY)
    instruct = build("neox-instruct", work, GPTNeoXForCausalLM, train_neox_instruct.config(),
                     dict(bos_token_id=0, eos_token_id=[end, 0], pad_token_id=0))
    for folder, prompts in ((verse, VERSE), (instruct, INSTRUCT)):
        expected(folder, prompts)
        reference(folder, prompts[0])
    samples(verse, VERSE * 2, 160)
    samples(instruct, [prompt(ask) for ask in (
        "Who are you?", "Define mountain.", "What is the opposite of hot?", "Spell the word garden.",
        "Write 47 in words.", "How much is 64 minus 28?", "What day comes after Monday?")], 48)


if __name__ == "__main__":
    main()
