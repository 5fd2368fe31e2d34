"""Writes a Llama checkpoint as GGUF, for bench/serving_peers.py.

python bench/serving_gguf.py CHECKPOINT OUT.gguf --type bf16|q8_0

The checkpoint is a folder with config.json, safetensors in bfloat16 and a SentencePiece tokenizer.model. Needs
numpy, gguf and protobuf's reader of tokenizer.model that gguf brings along (sentencepiece).
"""

import argparse
import json
import pathlib

import gguf
import numpy as np
from sentencepiece import SentencePieceProcessor

NAMES = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight"}
IN_LAYER = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
            "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
            "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
TYPES = {"bf16": gguf.GGMLQuantizationType.BF16, "q8_0": gguf.GGMLQuantizationType.Q8_0}


def tensors_of(folder):
    """Name and float32 values of each tensor, one in memory at a time."""
    for path in sorted(folder.glob("*.safetensors")):
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        data = np.memmap(path, np.uint8, "r", offset=8 + size)
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            halves = data[begin:end].view(np.uint16).reshape(entry["shape"])
            yield name, (halves.astype(np.uint32) << 16).view(np.float32)


def interleaved(values, heads):
    """llama.cpp rotates neighbours, the checkpoint halves of a head."""
    rows, columns = values.shape
    return values.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def name_in_gguf(name):
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{IN_LAYER[rest.removesuffix('.weight')]}.weight"


def add_tokenizer(writer, path):
    model = SentencePieceProcessor(str(path))
    kinds = []
    for i in range(model.vocab_size()):
        kinds.append(gguf.TokenType.UNKNOWN if model.IsUnknown(i) else gguf.TokenType.CONTROL if model.IsControl(i)
                     else gguf.TokenType.BYTE if model.IsByte(i) else gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([model.IdToPiece(i).encode() for i in range(model.vocab_size())])
    writer.add_token_scores([model.GetScore(i) for i in range(model.vocab_size())])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(model.bos_id())
    writer.add_eos_token_id(model.eos_id())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--type", choices=TYPES, default="bf16")
    args = parser.parse_args()
    config = json.loads((args.checkpoint / "config.json").read_text())
    writer = gguf.GGUFWriter(args.out, "llama")
    writer.add_name(args.checkpoint.name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16 if args.type == "bf16" else gguf.LlamaFileType.MOSTLY_Q8_0)
    add_tokenizer(writer, args.checkpoint / "tokenizer.model")
    for name, values in tensors_of(args.checkpoint):
        if name.endswith("q_proj.weight"):
            values = interleaved(values, config["num_attention_heads"])
        if name.endswith("k_proj.weight"):
            values = interleaved(values, config["num_key_value_heads"])
        if values.ndim == 1:
            writer.add_tensor(name_in_gguf(name), values)
            continue
        packed = gguf.quants.quantize(values, TYPES[args.type])
        writer.add_tensor(name_in_gguf(name), packed, raw_dtype=TYPES[args.type])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
