"""Records what transformers' last states of demo/llama-verse are, averaged: python record_embeddings.py

Each text alone, without padding, in float32, of length 1. embeddings.json holds texts, their token ids, and the embeddings in
base64 (little-endian float32).
"""
import base64
import json
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

HERE = Path(__file__).resolve().parent
TEXTS = ["The sea", "A single boat moved out past the mole, its engine barely audible over the gulls.",
         "Shall I compare thee to a summer's day?", "sea", "Le temps est un grand maître, dit-on.",
         "and then again " * 12]


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    folder = HERE.parents[1] / "demo/llama-verse"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    rows = []
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        mean = model(torch.tensor([ids])).last_hidden_state[0].double().mean(0).numpy()
        made = (mean / np.linalg.norm(mean)).astype("<f4")
        rows.append({"text": text, "ids": ids, "embedding": base64.b64encode(made.tobytes()).decode()})
    (HERE / "embeddings.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
