"""Trains the Llama-architecture demo on verse.

python train_llama_verse.py [--work DIR] [--out DIR] [--steps N] [--seconds S]
"""
import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import training

LENGTH = 512


def config():
    return LlamaConfig(vocab_size=2560, hidden_size=256, intermediate_size=512, num_hidden_layers=6, num_attention_heads=8,
                       num_key_value_heads=4, max_position_embeddings=LENGTH, rms_norm_eps=1e-5, bos_token_id=1,
                       eos_token_id=2, tie_word_embeddings=False, attn_implementation="sdpa")


def windows(ids, starts):
    return torch.stack([ids[start:start + LENGTH] for start in starts]).long()


@torch.no_grad()
def held_loss(model, ids):
    starts = range(0, len(ids) - LENGTH, LENGTH)
    total = 0.0
    for at in range(0, len(starts), 32):
        x = windows(ids, starts[at:at + 32])
        total += float(model(input_ids=x, labels=x, use_cache=False).loss) * len(x)
    return total / len(starts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".data"))
    parser.add_argument("--out", type=Path, default=Path(".data/llama-verse/trained"))
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--seconds", type=float, default=36000)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    device = training.device()
    ids, held = (torch.from_numpy(np.load(args.work / f"llama-verse/{name}.npy").astype(np.int32)).to(device)
                 for name in ("train", "val"))
    torch.manual_seed(0)
    model = LlamaForCausalLM(config()).to(device)
    training.add_dropout(model, ("embed_tokens", "o_proj", "down_proj"), 0.1)
    choice = torch.Generator().manual_seed(2)

    def batch():
        x = windows(ids, torch.randint(len(ids) - LENGTH, (args.batch,), generator=choice).tolist())
        return {"input_ids": x, "labels": x}

    model, history = training.train(model, batch, lambda m: held_loss(m, held), steps=args.steps, seconds=args.seconds)
    final = model.to(torch.bfloat16).float()
    report = {"parameters": sum(p.numel() for p in model.parameters()), "train_tokens": len(ids), "held_tokens": len(held),
              "batch_tokens": args.batch * LENGTH, "held_loss_bfloat16": round(held_loss(final, held), 4), "history": history}
    training.save(final, args.out, report)


if __name__ == "__main__":
    main()
