"""Writes a checkpoint with random weights at the true dimensions of a published model.

python bench/random_checkpoint.py llama-2-7b OUT_DIR

Speed and memory do not depend on the values, so this stands for the real thing where that may not be
downloaded. Only numpy is needed. Weights are bfloat16 (float16 for Dolly as published is the same size),
drawn once as a pool of normal values that every tensor takes its part of.
"""

import argparse
import json
import math
import pathlib

import numpy as np

MODELS = {
    "llama-2-7b": dict(kind="llama", hidden=4096, inner=11008, layers=32, heads=32, kv=32, vocab=32000, context=4096),
    "tinyllama-1.1b": dict(kind="llama", hidden=2048, inner=5632, layers=22, heads=32, kv=4, vocab=32000, context=2048),
    "dolly-v2-7b": dict(kind="neox", hidden=4096, inner=16384, layers=32, heads=32, vocab=50280, context=2048),
    "pythia-410m": dict(kind="neox", hidden=1024, inner=4096, layers=24, heads=16, vocab=50304, context=2048),
}


def llama(m):
    head = m["hidden"] // m["heads"]
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=m["hidden"],
                  intermediate_size=m["inner"], num_hidden_layers=m["layers"], num_attention_heads=m["heads"],
                  num_key_value_heads=m["kv"], vocab_size=m["vocab"], max_position_embeddings=m["context"],
                  rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu", tie_word_embeddings=False,
                  bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16")
    yield config
    h, i, kv = m["hidden"], m["inner"], m["kv"] * head
    yield "model.embed_tokens.weight", (m["vocab"], h)
    for layer in range(m["layers"]):
        p = f"model.layers.{layer}."
        yield p + "input_layernorm.weight", (h,)
        for name, shape in (("q_proj", (h, h)), ("k_proj", (kv, h)), ("v_proj", (kv, h)), ("o_proj", (h, h))):
            yield p + f"self_attn.{name}.weight", shape
        yield p + "post_attention_layernorm.weight", (h,)
        for name, shape in (("gate_proj", (i, h)), ("up_proj", (i, h)), ("down_proj", (h, i))):
            yield p + f"mlp.{name}.weight", shape
    yield "model.norm.weight", (h,)
    yield "lm_head.weight", (m["vocab"], h)


def neox(m):
    config = dict(architectures=["GPTNeoXForCausalLM"], model_type="gpt_neox", hidden_size=m["hidden"],
                  intermediate_size=m["inner"], num_hidden_layers=m["layers"], num_attention_heads=m["heads"],
                  vocab_size=m["vocab"], max_position_embeddings=m["context"], layer_norm_eps=1e-5,
                  rotary_pct=0.25, rotary_emb_base=10000, hidden_act="gelu", use_parallel_residual=True,
                  tie_word_embeddings=False, bos_token_id=0, eos_token_id=0, torch_dtype="bfloat16")
    yield config
    h, i = m["hidden"], m["inner"]
    yield "gpt_neox.embed_in.weight", (m["vocab"], h)
    for layer in range(m["layers"]):
        p = f"gpt_neox.layers.{layer}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield p + norm + ".weight", (h,)
            yield p + norm + ".bias", (h,)
        for name, shape in (("attention.query_key_value", (3 * h, h)), ("attention.dense", (h, h)),
                            ("mlp.dense_h_to_4h", (i, h)), ("mlp.dense_4h_to_h", (h, i))):
            yield p + name + ".weight", shape
            yield p + name + ".bias", shape[:1]
    yield "gpt_neox.final_layer_norm.weight", (h,)
    yield "gpt_neox.final_layer_norm.bias", (h,)
    yield "embed_out.weight", (m["vocab"], h)


def to_bfloat16(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


class Pool:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.normal = self.random.standard_normal(1 << 24, dtype=np.float32)

    def values(self, name, shape):
        """Float32, as many as the shape has, in bounded memory."""
        count = math.prod(shape)
        if len(shape) == 1:  # norms near one, biases near zero
            base = 1.0 if name.endswith("weight") else 0.0
            return base + 0.02 * self.normal[:count]
        start = int(self.random.integers(1 << 24))
        return np.resize(np.roll(self.normal, start), count) * np.float32(0.6 / math.sqrt(math.prod(shape[1:])))

    def take(self, name, shape):
        return to_bfloat16(self.values(name, shape))

    def take_float16(self, name, shape):
        return self.values(name, shape).astype(np.float16)


def write_shard(path, tensors, pool):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors:
            pool.take(name, shape).tofile(file)
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = MODELS[args.model]
    config, *tensors = (llama if model["kind"] == "llama" else neox)(model)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "config.json").write_text(json.dumps(config, indent=2))
    shards, size = [[]], 0
    for name, shape in tensors:
        if size > 4 << 30:
            shards.append([])
            size = 0
        shards[-1].append((name, shape))
        size += 2 * math.prod(shape)
    pool, weight_map, total = Pool(args.seed), {}, 0
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        total += write_shard(args.out / file, shard, pool)
        weight_map.update({name: file for name, _ in shard})
        print(f"{file}: {total / 1e9:.1f} GB so far", flush=True)
    (args.out / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))


if __name__ == "__main__":
    main()
