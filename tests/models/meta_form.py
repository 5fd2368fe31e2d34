"""Writes Meta's release form of a Llama checkpoint (params.json, consolidated.NN.pth) and computes its logits.

Meta rotates neighbouring elements, transformers rotates halves: the rows of wq and wk differ in order.
"""
import json

import torch

COLUMN = ("attention.wq", "attention.wk", "attention.wv", "feed_forward.w1", "feed_forward.w3")  # split by rows
NAMES = {"self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk", "self_attn.v_proj": "attention.wv",
         "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2",
         "mlp.up_proj": "feed_forward.w3", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm"}


def interleaved(weight, heads):
    """Rows of each head from (first half, second half) to neighbouring pairs."""
    rows, columns = weight.shape
    return weight.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns).contiguous()


def from_hf(state, config):
    out = {"tok_embeddings.weight": state["model.embed_tokens.weight"], "norm.weight": state["model.norm.weight"],
           "output.weight": state["lm_head.weight"]}
    for layer in range(config.num_hidden_layers):
        for theirs, ours in NAMES.items():
            weight = state[f"model.layers.{layer}.{theirs}.weight"]
            if theirs.endswith("q_proj"):
                weight = interleaved(weight, config.num_attention_heads)
            if theirs.endswith("k_proj"):
                weight = interleaved(weight, config.num_key_value_heads)
            out[f"layers.{layer}.{ours}.weight"] = weight
    half = config.hidden_size // config.num_attention_heads // 2
    out["rope.freqs"] = 1.0 / config.rope_theta ** (torch.arange(half).float() / half)
    return out


def shard(state, count):
    parts = [{} for _ in range(count)]
    for name, value in state.items():
        if value.ndim < 2:
            pieces = [value] * count
        elif name == "output.weight" or any(column in name for column in COLUMN):
            pieces = value.chunk(count, 0)
        else:  # tok_embeddings, wo, w2: split by columns
            pieces = value.chunk(count, 1)
        for part, piece in zip(parts, pieces):
            part[name] = piece.clone()
    return parts


def write(folder, state, config, shards, vocab_size, **feed_forward):
    params = {"dim": config.hidden_size, **feed_forward, "n_heads": config.num_attention_heads,
              "n_kv_heads": config.num_key_value_heads, "n_layers": config.num_hidden_layers,
              "norm_eps": config.rms_norm_eps, "vocab_size": vocab_size}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.json").write_text(json.dumps(params))
    for index, part in enumerate(shard(from_hf(state, config), shards)):
        torch.save(part, folder / f"consolidated.{index:02d}.pth")


def rotate(x, freqs):
    angle = torch.arange(x.shape[1])[:, None] * freqs
    turned = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2)) * torch.polar(
        torch.ones_like(angle), angle)[None, :, None]
    return torch.view_as_real(turned).flatten(3)


def norm(x, weight, epsilon):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def logits(parts, params, ids):
    """The forward pass as Meta's reference wrote it, shard by shard: a check on the files, not on transformers."""
    def linear(x, name):
        weights = [part[name].float() for part in parts]
        if name == "output.weight" or any(column in name for column in COLUMN):
            return torch.cat([x @ w.T for w in weights], -1)
        return sum(piece @ w.T for piece, w in zip(x.chunk(len(weights), -1), weights))

    heads, kv_heads, epsilon = params["n_heads"], params["n_kv_heads"], params["norm_eps"]
    x = torch.cat([part["tok_embeddings.weight"].float()[ids] for part in parts], -1)
    batch, length, dim = x.shape
    mask = torch.full((length, length), float("-inf")).triu(1)
    for layer in range(params["n_layers"]):
        at = f"layers.{layer}."
        h = norm(x, parts[0][at + "attention_norm.weight"].float(), epsilon)
        q = linear(h, at + "attention.wq.weight").view(batch, length, heads, -1)
        k = linear(h, at + "attention.wk.weight").view(batch, length, kv_heads, -1)
        v = linear(h, at + "attention.wv.weight").view(batch, length, kv_heads, -1)
        q, k = rotate(q, parts[0]["rope.freqs"].float()), rotate(k, parts[0]["rope.freqs"].float())
        k, v = (t.repeat_interleave(heads // kv_heads, 2).transpose(1, 2) for t in (k, v))
        scores = q.transpose(1, 2) @ k.transpose(2, 3) / (dim // heads) ** 0.5 + mask
        x = x + linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), at + "attention.wo.weight")
        h = norm(x, parts[0][at + "ffn_norm.weight"].float(), epsilon)
        gate = torch.nn.functional.silu(linear(h, at + "feed_forward.w1.weight"))
        x = x + linear(gate * linear(h, at + "feed_forward.w3.weight"), at + "feed_forward.w2.weight")
    return linear(norm(x, parts[0]["norm.weight"].float(), epsilon), "output.weight")
