"""Records what transformers' last states of the checkpoints in this folder are, pooled: python record_embeddings.py

Reads the left-padded batch of each expected.npz and computes each row alone, without padding: no mask or position can be
wrong then. States are those behind the final norm, in float32. See README.md for the arrays.
"""
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

HERE = Path(__file__).resolve().parent


@torch.no_grad()
def pooled(folder):
    """Mean and last state of each row."""
    recorded = np.load(folder / "expected.npz")
    mean, last = [], []
    for ids, mask in zip(recorded["left_ids"], recorded["left_mask"]):
        # Loaded anew: dynamic rope scaling keeps frequencies between calls.
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        states = model(torch.from_numpy(ids[mask != 0])[None]).last_hidden_state[0].double()
        mean.append(states.mean(0))
        last.append(states[-1])
    return torch.stack(mean).float().numpy(), torch.stack(last).float().numpy()


def main():
    torch.set_num_threads(1)
    arrays = {}
    for path in sorted(HERE.glob("*/expected.npz")):
        folder = path.parent
        # Not transformers' form, or one that 4.57 would read wrongly; one is a planted fault.
        if folder.name.startswith("meta-") or "rope-parameters" in folder.name or folder.name == "llama-wrong-rotary":
            continue
        arrays[f"{folder.name}.mean"], arrays[f"{folder.name}.last"] = pooled(folder)
    np.savez(HERE / "embeddings.npz", **arrays)
    print(f"{len(arrays) // 2} checkpoints")


if __name__ == "__main__":
    main()
