"""One training loop for both demos: AdamW, warm-up and cosine, averaged weights, best averaged weights kept.

The schedule follows the steps or the clock, whichever is further, so a run ends in time on any machine.
"""
import copy
import json
import math
import time

import torch
from safetensors.torch import save_file


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def add_dropout(model, names, rate):
    """Dropout behind the named submodules, in training only: the saved model knows nothing of it."""
    for name, module in model.named_modules():
        if name.endswith(names):
            module.register_forward_hook(
                lambda layer, _, out: torch.nn.functional.dropout(out, rate, layer.training))


def groups(model, decay):
    matrices = [p for p in model.parameters() if p.ndim > 1]
    return [{"params": matrices, "weight_decay": decay},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]


class Average:
    """Exponential average of the weights."""

    def __init__(self, model, horizon=400):
        self.model, self.horizon, self.steps = copy.deepcopy(model).eval(), horizon, 0

    @torch.no_grad()
    def update(self, model):
        self.steps += 1
        weight = max(1 / self.horizon, 1 / self.steps)
        ours, theirs = list(self.model.parameters()), list(model.parameters())
        torch._foreach_lerp_(ours, theirs, weight)


def train(model, batch, evaluate, *, steps, seconds, rate=2e-3, decay=0.1, warmup=200, every=250):
    """`batch` gives inputs of model(); `evaluate` gives the loss to minimise. Returns (best averaged model, history)."""
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = True
    fused = device().type == "cuda"
    optimiser = torch.optim.AdamW(groups(model, decay), lr=rate, betas=(0.9, 0.97), fused=fused)
    average, history, best = Average(model), [], (math.inf, None)
    start, step, done = time.time(), 0, 0.0
    while done < 1:
        model.train()
        done = min(1.0, max((step + 1) / steps, (time.time() - start) / seconds))
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / warmup) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        loss = model(**batch(), use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update(model)
        step += 1
        if step % every == 0 or done >= 1:
            value = float(evaluate(average.model))
            history.append({"step": step, "seconds": round(time.time() - start, 1), "train_loss": round(loss.item(), 4),
                            "held_loss": round(value, 4)})
            print(json.dumps(history[-1]), flush=True)
            if value < best[0]:
                best = (value, copy.deepcopy(average.model))
    return best[1], history


def hardware():
    return torch.cuda.get_device_name() if device().type == "cuda" else "CPU"


def save(model, folder, report):
    """model.safetensors in bfloat16 and training.json; record.py makes the checkpoint folder from them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().to("cpu", torch.bfloat16).contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "training.json").write_text(json.dumps({"hardware": hardware(), "torch": torch.__version__, **report}, indent=1))
