"""Records the small files that the tests of src/checkpoint read.

python make.py            (needs torch, numpy and safetensors; writes beside itself)

The values are random with a fixed seed; what matters is that the same tensors stand in several file
forms, so that the tests can ask for equal bits.
"""
import json
import shutil
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
VOCABULARY, DIM, LAYERS, HEADS, KV_HEADS, MULTIPLE, FACTOR = 48, 32, 1, 8, 4, 8, 0.5
HEAD_DIM = DIM // HEADS
HIDDEN = 48  # int(0.5 * int(2 * 4 * 32 / 3)) = 42, up to a multiple of 8


def fresh(*parts):
    folder = HERE.joinpath(*parts)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def half_split(weight, heads):
    """Rows of a projection from neighbouring rotary pairs to halves."""
    return weight.view(heads, HEAD_DIM // 2, 2, -1).transpose(1, 2).reshape(weight.shape)


def llama_weights():
    generator = torch.Generator().manual_seed(7)

    def random(*shape):
        return torch.randn(*shape, generator=generator).to(torch.bfloat16)

    weights = {"tok_embeddings.weight": random(VOCABULARY, DIM), "norm.weight": random(DIM),
               "output.weight": random(VOCABULARY, DIM)}
    for layer in range(LAYERS):
        prefix = f"layers.{layer}."
        weights |= {
            prefix + "attention.wq.weight": random(DIM, DIM),
            prefix + "attention.wk.weight": random(KV_HEADS * HEAD_DIM, DIM),
            prefix + "attention.wv.weight": random(KV_HEADS * HEAD_DIM, DIM),
            prefix + "attention.wo.weight": random(DIM, DIM),
            prefix + "feed_forward.w1.weight": random(HIDDEN, DIM),
            prefix + "feed_forward.w2.weight": random(DIM, HIDDEN),
            prefix + "feed_forward.w3.weight": random(HIDDEN, DIM),
            prefix + "attention_norm.weight": random(DIM),
            prefix + "ffn_norm.weight": random(DIM),
        }
    return weights


def hugging_face_form(weights):
    renamed = {"model.embed_tokens.weight": weights["tok_embeddings.weight"],
               "model.norm.weight": weights["norm.weight"],
               "lm_head.weight": weights["output.weight"]}
    for layer in range(LAYERS):
        old, new = f"layers.{layer}.", f"model.layers.{layer}."
        renamed |= {
            new + "self_attn.q_proj.weight": half_split(weights[old + "attention.wq.weight"], HEADS),
            new + "self_attn.k_proj.weight":
                half_split(weights[old + "attention.wk.weight"], KV_HEADS),
            new + "self_attn.v_proj.weight": weights[old + "attention.wv.weight"],
            new + "self_attn.o_proj.weight": weights[old + "attention.wo.weight"],
            new + "mlp.gate_proj.weight": weights[old + "feed_forward.w1.weight"],
            new + "mlp.down_proj.weight": weights[old + "feed_forward.w2.weight"],
            new + "mlp.up_proj.weight": weights[old + "feed_forward.w3.weight"],
            new + "input_layernorm.weight": weights[old + "attention_norm.weight"],
            new + "post_attention_layernorm.weight": weights[old + "ffn_norm.weight"],
        }
    return {name: weight.contiguous() for name, weight in renamed.items()}


def axis_of(name, embedding_axis):
    if "norm" in name:
        return None
    if name.startswith("tok_embeddings"):
        return embedding_axis
    return 1 if ".wo." in name or ".w2." in name else 0


def save_meta(folder, weights, shards, embedding_axis):
    params = {"dim": DIM, "multiple_of": MULTIPLE, "ffn_dim_multiplier": FACTOR, "n_heads": HEADS,
              "n_kv_heads": KV_HEADS, "n_layers": LAYERS, "norm_eps": 1e-05, "vocab_size": -1}
    (folder / "params.json").write_text(json.dumps(params) + "\n")
    for shard in range(shards):
        part = {}
        for name, weight in weights.items():
            axis = axis_of(name, embedding_axis)
            piece = weight if axis is None else weight.chunk(shards, axis)[shard]
            part[name] = piece.clone().contiguous()
        part["rope.freqs"] = torch.ones(HEAD_DIM // 2)
        torch.save(part, folder / f"consolidated.{shard:02d}.pth")


def make_llama():
    weights = llama_weights()
    folder = fresh("llama_hf")
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": DIM,
              "intermediate_size": HIDDEN, "num_attention_heads": HEADS,
              "num_key_value_heads": KV_HEADS, "num_hidden_layers": LAYERS, "rms_norm_eps": 1e-05,
              "vocab_size": VOCABULARY, "rope_theta": 10000.0, "max_position_embeddings": 4096,
              "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
              "tie_word_embeddings": False, "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(hugging_face_form(weights), folder / "model.safetensors", metadata={"format": "pt"})
    for shards, axis, name in [(1, 1, "llama_meta1"), (2, 1, "llama_meta2"), (4, 1, "llama_meta4"),
                               (2, 0, "llama3_meta2")]:
        save_meta(fresh(name), weights, shards, axis)


def torch_values():
    generator = torch.Generator().manual_seed(11)
    base = torch.randn(6, 4, generator=generator)
    return {
        "plain": torch.randn(3, 5, generator=generator),
        "transposed": base.t(),
        "sliced": base[1:5:2, 1:3],
        "shared": base,
        "permuted": torch.randn(2, 3, 4, generator=generator).permute(2, 0, 1),
        "half": torch.randn(7, generator=generator).half(),
        "brain": torch.randn(2, 2, generator=generator).bfloat16(),
        "double": torch.randn(3, generator=generator).double(),
        "long": torch.arange(-2, 3),
        "int": torch.arange(4, dtype=torch.int32),
        "short": torch.arange(4, dtype=torch.int16),
        "char": torch.arange(-3, 2, dtype=torch.int8),
        "byte": torch.arange(5, dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.randn(2, 3, generator=generator)),
    }


def make_torch():
    folder = fresh("torch")
    values = torch_values()
    save_file({name: value.detach().clone().contiguous() for name, value in values.items()},
              folder / "expected.safetensors")
    torch.save(values, folder / "zip.pth")
    torch.save(values, folder / "protocol4.pth", pickle_protocol=4)
    torch.save(values, folder / "protocol5.pth", pickle_protocol=5)
    torch.save(values, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    training = {"epoch": 3, "loss": 0.25, "state_dict": module.state_dict(),
                "optimizer": optimizer.state_dict(), "shape": torch.Size([1, 2])}
    torch.save(training, folder / "training.ckpt")
    torch.save(training, folder / "training_legacy.ckpt", _use_new_zipfile_serialization=False)
    torch.save({"weights": values}, folder / "nested.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), folder / "script.pt")
    compress(folder / "zip.pth", folder / "compressed.pth")


def compress(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def make_torch_shards():
    folder = fresh("torch_shards")
    names = {"a.weight": "pytorch_model-00001-of-00002.bin",
             "b.weight": "pytorch_model-00002-of-00002.bin"}
    for value, (name, shard) in enumerate(names.items()):
        torch.save({name: torch.full((2, 2), float(value))}, folder / shard)
    index = {"metadata": {"total_size": 32}, "weight_map": names}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index) + "\n")


if __name__ == "__main__":
    torch.manual_seed(3)
    make_llama()
    make_torch()
    make_torch_shards()
