"""Writes the tiny checkpoints of this folder and what transformers answers for them: python record.py [NAME ...]

Each checkpoint differs from the base in one thing, so a failing name says what is wrong.
Needs torch, transformers 4.57 and numpy; see README.md for what the arrays mean.
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

import meta_form
import recording

HERE = Path(__file__).resolve().parent
LLAMA = dict(vocab_size=64, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=4, max_position_embeddings=128, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
NEOX = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=128, hidden_act="gelu", rotary_pct=0.25, bos_token_id=0, eos_token_id=0)
WIDE = dict(num_attention_heads=2, num_key_value_heads=1)  # head size 16: more rotary frequencies to get wrong
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}  # a ramp over 3 frequencies


def llama(note, dtype="bfloat16", store="safetensors", config_form="saved", **changes):
    return dict(family="llama", note=note, dtype=dtype, store=store, config_form=config_form, config={**LLAMA, **changes})


def neox(note, dtype="bfloat16", store="safetensors", config_form="saved", **changes):
    return dict(family="gpt_neox", note=note, dtype=dtype, store=store, config_form=config_form, config={**NEOX, **changes})


VARIANTS = {
    "llama-mha": llama("base: as many key/value heads as heads", config_form="first-release"),
    "llama-gqa": llama("4 heads, 2 key/value heads", num_key_value_heads=2),
    "llama-mqa": llama("4 heads, 1 key/value head", num_key_value_heads=1),
    "llama-tied": llama("lm_head is the embedding and not in the file", tie_word_embeddings=True),
    "llama-attention-bias": llama("biases on q, k, v and o", attention_bias=True),
    "llama-mlp-bias": llama("biases on gate, up and down", mlp_bias=True),
    "llama-eps-1e-3": llama("large norm epsilon", rms_norm_eps=1e-3),
    "llama-head-dim": llama("head_dim 16, hidden/heads 8", head_dim=16, num_key_value_heads=2),
    "llama-theta-5e5": llama("rope_theta 500000", rope_theta=500000.0, **WIDE),
    "llama-linear": llama("linear rope scaling, old key 'type'", config_form="old-rope-key",
                          rope_scaling={"rope_type": "linear", "factor": 2.0}, **WIDE),
    "llama-dynamic": llama("dynamic rope scaling past max_position_embeddings 8", max_position_embeddings=8,
                           rope_scaling={"rope_type": "dynamic", "factor": 2.0}, **WIDE),
    "llama-llama3": llama("llama3 rope scaling: all three frequency bands", rope_theta=10000.0, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64}, **WIDE),
    "llama-yarn": llama("yarn, attention factor from the factor", rope_scaling=dict(YARN), **WIDE),
    "llama-yarn-mscale": llama("yarn with mscale and mscale_all_dim", rope_scaling={
        **YARN, "mscale": 0.7, "mscale_all_dim": 1.3, "beta_fast": 16.0, "beta_slow": 2.0}, **WIDE),
    "llama-yarn-attention-factor": llama("yarn with attention_factor and truncate false", rope_scaling={
        **YARN, "attention_factor": 0.8, "truncate": False}, **WIDE),
    "llama-rope-parameters": llama("llama3 scaling under rope_parameters, as transformers 5 writes it",
                                   config_form="rope-parameters", rope_theta=500000.0, rope_scaling={
                                       "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0,
                                       "high_freq_factor": 4.0, "original_max_position_embeddings": 32}, **WIDE),
    "llama-odd-vocab": llama("97 tokens", vocab_size=97),
    "llama-odd-intermediate": llama("intermediate size 43", intermediate_size=43),
    "llama-3-layers": llama("hidden 48, 3 layers, 6 heads, 3 key/value heads, norm epsilon 1e-6", hidden_size=48,
                            intermediate_size=32, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3,
                            rms_norm_eps=1e-6),
    "llama-fp16": llama("float16 weights", "float16"),
    "llama-sharded": llama("safetensors in several files with an index", "float32", store="sharded",
                           num_key_value_heads=2),
    "llama-bin": llama("pytorch_model.bin (zip), tied tensors share one storage", "float32", store="bin",
                       tie_word_embeddings=True, num_key_value_heads=2),
    "llama-bin-old": llama("pytorch_model.bin before the zip form", "float16", store="bin-old",
                           num_key_value_heads=2),
    "llama-bin-sharded": llama("pytorch_model-0000N-of-0000M.bin with an index, float16", "float16",
                               store="bin-sharded"),
    "neox-parallel": neox("base: parallel residual, rotary_pct 0.25", "float32"),
    "neox-serial": neox("serial residual", use_parallel_residual=False),
    "neox-rotary-half": neox("rotary_pct 0.5, 4 heads, rotary base 5000", rotary_pct=0.5, num_attention_heads=4,
                             rotary_emb_base=5000),
    "neox-rotary-full": neox("rotary_pct 1.0", rotary_pct=1.0),
    "neox-gelu-new": neox("gelu_new: tanh form", hidden_act="gelu_new"),
    "neox-gelu-fast": neox("gelu_fast: tanh form, other constants", hidden_act="gelu_fast"),
    "neox-no-attention-bias": neox("attention_bias false", attention_bias=False),
    "neox-tied": neox("embed_out is the embedding", tie_word_embeddings=True),
    "neox-linear": neox("linear rope scaling, layer_norm_eps 1e-3", rotary_pct=0.5, layer_norm_eps=1e-3,
                        rope_scaling={"rope_type": "linear", "factor": 3.0}),
    "neox-dynamic": neox("dynamic rope scaling past max_position_embeddings 8", rotary_pct=0.5,
                         max_position_embeddings=8, rope_scaling={"rope_type": "dynamic", "factor": 2.0}),
    "neox-rope-parameters": neox("rotary base and share under rope_parameters, as transformers 5 writes them",
                                 config_form="rope-parameters", rotary_pct=0.5, rotary_emb_base=5000),
    "neox-bin-buffers": neox("float16 .bin with the mask and rotary buffers old releases stored", "float16",
                             store="bin-buffers"),
}


def randomise(model, seed):
    """Every parameter random and away from 0 and 1, so that none can be forgotten unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 1 and name.endswith("norm.weight"):
            parameter.data = 1 + 0.25 * noise
        else:
            parameter.data = (0.3 if "embed" in name or "lm_head" in name else 0.2) * noise


def save_bin(folder, state, store):
    if store == "bin-sharded":
        names, index = sorted(state), {}
        for number, part in enumerate((names[::2], names[1::2]), 1):
            file = f"pytorch_model-{number:05d}-of-00002.bin"
            torch.save({name: state[name] for name in part}, folder / file)
            index.update(dict.fromkeys(part, file))
        total = sum(value.numel() * value.element_size() for value in state.values())
        (folder / "pytorch_model.bin.index.json").write_text(
            json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=1))
    else:
        torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=store != "bin-old")


def with_buffers(state, config):
    """What GPT-NeoX checkpoints of 2022 and 2023 carry beside the weights: to be ignored by readers."""
    size = config.hidden_size // config.num_attention_heads
    rotary = int(size * config.rotary_pct)
    for layer in range(config.num_hidden_layers):
        at = f"gpt_neox.layers.{layer}.attention."
        state[at + "bias"] = torch.ones(16, 16, dtype=torch.bool).tril().view(1, 1, 16, 16)
        state[at + "masked_bias"] = torch.tensor(-1e9)
        state[at + "rotary_emb.inv_freq"] = 1.0 / 10000 ** (torch.arange(0, rotary, 2).float() / rotary)
    return state


def rewrite_config(folder, form, dtype):
    """The forms of config.json that releases of other years have."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for derived in ("partial_rotary_factor",) + (("rope_theta",) if config["model_type"] == "gpt_neox" else ()):
        config.pop(derived, None)
    if form != "rope-parameters":
        config.pop("dtype", None)
        config["torch_dtype"] = dtype
    if form == "first-release":
        for newer in ("num_key_value_heads", "head_dim", "rope_theta", "attention_bias", "mlp_bias", "rope_scaling",
                      "attention_dropout", "pretraining_tp", "transformers_version"):
            config.pop(newer, None)
    if form == "old-rope-key":
        config["rope_scaling"] = {"type": config["rope_scaling"]["rope_type"], "factor": config["rope_scaling"]["factor"]}
    if form == "rope-parameters":
        names = {"rope_theta": "rope_theta", "rotary_emb_base": "rope_theta", "rotary_pct": "partial_rotary_factor"}
        config["rope_parameters"] = {new: config.pop(old) for old, new in names.items() if old in config} | (
            config.pop("rope_scaling") or {"rope_type": "default"})
        config["dtype"], config["transformers_version"] = config.pop("torch_dtype"), "5.0.0"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def write_checkpoint(folder, variant, seed):
    shutil.rmtree(folder, ignore_errors=True)
    kind = (LlamaConfig, LlamaForCausalLM) if variant["family"] == "llama" else (GPTNeoXConfig, GPTNeoXForCausalLM)
    model = kind[1](kind[0](**variant["config"]))
    randomise(model, seed)
    model.tie_weights()
    model = model.to(getattr(torch, variant["dtype"]))
    store = variant["store"]
    model.save_pretrained(folder, max_shard_size="24KB" if store == "sharded" else "1GB")
    if store.startswith("bin"):
        (folder / "model.safetensors").unlink()
        state = dict(model.state_dict())
        save_bin(folder, with_buffers(state, model.config) if store == "bin-buffers" else state, store)
    rewrite_config(folder, "saved", variant["dtype"])


def make(name, variant):
    folder = HERE / name
    for seed in range(1, 200):
        write_checkpoint(folder, variant, seed)
        try:
            arrays, facts = recording.record(folder, seed)
        except recording.Unstable as why:
            print(f"{name}: seed {seed}: {why}", flush=True)
            continue
        recording.save(folder / "expected.npz", arrays)
        rewrite_config(folder, variant["config_form"], variant["dtype"])
        print(f"{name}: seed {seed}: {facts}", flush=True)
        return {"seed": seed, **facts}
    raise SystemExit(f"{name}: no seed gives stable outputs")


def make_meta():
    """Meta's form of llama-gqa whole and in two shards, and the Hugging Face form with the rotary rows left as Meta's."""
    source = HERE / "llama-gqa"
    model = recording.load(source)
    config = model.config
    state = {name: value.bfloat16() for name, value in model.state_dict().items()}  # as stored
    forms = {"meta-1": (1, -1, dict(multiple_of=8, ffn_dim_multiplier=0.45)),
             "meta-2": (2, config.vocab_size, dict(multiple_of=20, ffn_dim_multiplier=0.45))}
    for name, (shards, vocab, feed_forward) in forms.items():
        shutil.rmtree(HERE / name, ignore_errors=True)
        meta_form.write(HERE / name, state, config, shards, vocab, **feed_forward)
        shutil.copy(source / "expected.npz", HERE / name)
    wrong = HERE / "llama-wrong-rotary"
    for layer in model.model.layers:
        for projection, heads in ((layer.self_attn.q_proj, config.num_attention_heads),
                                  (layer.self_attn.k_proj, config.num_key_value_heads)):
            projection.weight.data = meta_form.interleaved(projection.weight.data, heads)
    shutil.rmtree(wrong, ignore_errors=True)
    model.bfloat16().save_pretrained(wrong)
    for name in ("expected.npz", "config.json", "generation_config.json"):
        shutil.copy(source / name, wrong)
    rows = {name: {"note": f"llama-gqa in Meta's release form, {shards} file(s)"} for name, (shards, *_) in forms.items()}
    for name in forms:
        rows[name]["max_abs_from_llama_gqa"] = meta_error(HERE / name)
    rows[wrong.name] = {"note": "llama-gqa with the rows of q_proj and k_proj in Meta's order: wrong on purpose; "
                                "expected.npz is the right model's", "max_abs_from_llama_gqa": hf_error(wrong)}
    if max(rows[name]["max_abs_from_llama_gqa"] for name in forms) > 1e-5:
        raise SystemExit(f"Meta's form does not answer as llama-gqa: {rows}")
    if rows[wrong.name]["max_abs_from_llama_gqa"] < 0.1:
        raise SystemExit("llama-wrong-rotary answers as the right model")
    return rows


def meta_error(folder):
    expected = np.load(folder / "expected.npz")
    parts = [torch.load(path, weights_only=True) for path in sorted(folder.glob("consolidated.*.pth"))]
    params = json.loads((folder / "params.json").read_text())
    got = meta_form.logits(parts, params, torch.from_numpy(expected["ids"])).numpy()
    return float(np.abs(got - expected["logits"]).max())


@torch.no_grad()
def hf_error(folder):
    expected = np.load(folder / "expected.npz")
    return float(np.abs(recording.load(folder)(torch.from_numpy(expected["ids"])).logits.numpy() - expected["logits"]).max())


def describe(name, variant, facts):
    config = {**variant["config"]}
    return {"family": variant["family"], "note": variant["note"], "weights": variant["store"], "dtype": variant["dtype"],
            "layers": config["num_hidden_layers"], "hidden": config["hidden_size"], "vocab": config["vocab_size"], **facts}


def main(names):
    index_path = HERE / "index.json"
    index = json.loads(index_path.read_text()) if index_path.exists() and names else {}
    for name in names or VARIANTS:
        index[name] = describe(name, VARIANTS[name], make(name, VARIANTS[name]))
    if not names or "llama-gqa" in names:
        index.update(make_meta())
    order = [*VARIANTS, *(name for name in index if name not in VARIANTS)]
    rows = ",\n".join(f'  "{name}": {json.dumps(index[name])}' for name in order if name in index)
    index_path.write_text("{\n" + rows + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
