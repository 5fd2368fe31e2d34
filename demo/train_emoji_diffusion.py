"""Trains the emoji demo's text encoder and UNet together, on latents of the trained autoencoder.

python train_emoji_diffusion.py [--work DIR] [--autoencoder DIR] [--out DIR] [--seconds S]
"""
import argparse
import json
import math
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

import emoji_scenes
import train_emoji_autoencoder
import training

VOCAB, START, END, PAD, LENGTH, UNASKED = 4096, 4094, 4095, 0, 77, 0.1


def text_config():
    return CLIPTextConfig(vocab_size=VOCAB, hidden_size=256, intermediate_size=1024, num_hidden_layers=3,
                          num_attention_heads=4, projection_dim=256, hidden_act="gelu", max_position_embeddings=LENGTH,
                          bos_token_id=START, eos_token_id=END, pad_token_id=PAD)


def unet_config():
    """Stable Diffusion 2 in small: heads of 64, linear projections, v-prediction. attention_head_dim means heads."""
    return dict(sample_size=16, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(128, 192, 128),
                down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=256,
                attention_head_dim=(2, 3, 2), use_linear_projection=True)


def scheduler_config():
    return dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.02, beta_schedule="scaled_linear",
                prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1)


def alphas(device):
    """Square roots of the products of 1 - beta and of what is left to 1, [1000] each."""
    c = scheduler_config()
    betas = torch.linspace(c["beta_start"] ** 0.5, c["beta_end"] ** 0.5, c["num_train_timesteps"], dtype=torch.float64) ** 2
    kept = (1 - betas).cumprod(0)
    return kept.sqrt().float().to(device), (1 - kept).sqrt().float().to(device)


class Drawer(torch.nn.Module):
    """The text encoder and the UNet as one module; gives the mean squared error of v."""

    def __init__(self):
        super().__init__()
        self.text_encoder = CLIPTextModel(text_config())
        self.unet = UNet2DConditionModel(**unet_config())

    def forward(self, ids, noisy, timestep, target):
        words = self.text_encoder(input_ids=ids).last_hidden_state
        return ((self.unet(noisy, timestep, encoder_hidden_states=words).sample.float() - target) ** 2).mean()


@torch.no_grad()
def latents_of(scenes, count, args, painter, device, batch=512):
    """Every scene painted once and encoded: [count,4,16,16] half precision, scaled to a deviation of 1."""
    vae = AutoencoderKL(**train_emoji_autoencoder.config()).to(device, memory_format=torch.channels_last).eval()
    vae.load_state_dict(load_file(args.autoencoder / "vae.safetensors"))
    scale = json.loads((args.autoencoder / "training.json").read_text())["scaling_factor"]
    made = torch.empty(count, 4, 16, 16, dtype=torch.float16, device=device)
    for at in range(0, count, batch):
        rows = torch.arange(at, min(at + batch, count))
        x = painter.paint(scenes, rows).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
            made[at:at + len(rows)] = (vae.encode(x).latent_dist.mode() * scale).half()
    return made


class Batches:
    """Noisy latents with prompts; one prompt in ten is empty, so that the model also learns to draw unasked."""

    def __init__(self, latents, ids, device):
        self.latents, self.device = latents, device
        self.signal, self.noise = alphas(device)
        self.ids = torch.full((*ids.shape[:2], LENGTH), PAD, dtype=torch.int16, device=device)
        self.ids[..., :ids.shape[-1]] = ids.to(device)
        self.empty = torch.tensor([START, END] + [PAD] * (LENGTH - 2), device=device)

    def draw(self, rows, generator):
        count = len(rows)
        rand = lambda *shape: torch.rand(*shape, generator=generator, device=self.device)
        ids = self.ids[rows, (rand(count) * self.ids.shape[1]).long()].long()
        ids = torch.where((rand(count) < UNASKED)[:, None], self.empty, ids)
        # One timestep from each of `count` equal parts.
        timestep = ((torch.arange(count, device=self.device) + rand(count)) * (1000 / count)).long().clamp(max=999)
        x = self.latents[rows].float()
        noise = torch.randn(x.shape, generator=generator, device=self.device)
        a, b = self.signal[timestep][:, None, None, None], self.noise[timestep][:, None, None, None]
        return ids, (a * x + b * noise).contiguous(memory_format=torch.channels_last), timestep, a * noise - b * x


@torch.no_grad()
def held_loss(model, batches, rows, device):
    generator, total = torch.Generator(device).manual_seed(5), 0.0
    with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
        for part in rows.split(512):
            total += float(model(*batches.draw(part, generator))) * len(part)
    return total / len(rows)


def compiled(model, batch, device):
    """The model compiled forward and backward; the weights stay as they are."""
    fast = torch.compile(model)
    for _ in range(2):
        ids, timestep = torch.full((batch, LENGTH), END, device=device), torch.arange(batch, device=device) % 1000
        noisy = torch.randn(batch, 4, 16, 16, device=device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
            fast(ids, noisy, timestep, torch.randn(batch, 4, 16, 16, device=device)).backward()
        model.zero_grad(set_to_none=True)
    return fast


def save(model, out, report):
    """Half precision, under the names of transformers 4 (5 leaves "text_model." out)."""
    out.mkdir(parents=True, exist_ok=True)
    for part in ("text_encoder", "unet"):
        tensors = {name: value.half().cpu().contiguous() for name, value in getattr(model, part).state_dict().items()}
        if part == "text_encoder":
            tensors = {name if name.startswith("text_model.") else "text_model." + name: value for name, value in tensors.items()}
            tensors.pop("text_model.embeddings.position_ids", None)
        save_file(tensors, out / f"{part}.safetensors", metadata={"format": "pt"})
    (out / "training.json").write_text(json.dumps(report, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".data/emoji"))
    parser.add_argument("--autoencoder", type=Path, default=Path(".data/emoji/autoencoder"))
    parser.add_argument("--out", type=Path, default=Path(".data/emoji/diffusion"))
    parser.add_argument("--seconds", type=float, default=36000)
    parser.add_argument("--steps", type=int, default=30000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--scenes", type=int, default=10**9, help="use only the first ones")
    parser.add_argument("--held", type=int, default=2048, help="scenes kept for measuring")
    parser.add_argument("--every", type=float, default=30, help="seconds between measurements and saved weights")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--wait", action="store_true", help="compile first, then wait for the autoencoder's training to end")
    args = parser.parse_args()
    device, start = training.device(), time.time()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    model = Drawer().to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(training.groups(model, 0.01), lr=args.rate, betas=(0.9, 0.99), fused=device.type == "cuda")
    average, history = training.Average(model, horizon=800), []
    step_loss = compiled(model, args.batch, device) if args.compile else model
    print(f"model ready after {time.time() - start:.0f} s", flush=True)
    while args.wait and not (args.autoencoder / "training.json").exists():
        time.sleep(1)
    pictures, scenes, _ = emoji_scenes.load(args.work)
    count = min(args.scenes, len(scenes["a"]))
    latents = latents_of(scenes, count, args, emoji_scenes.Painter(pictures, device), device)
    batches = Batches(latents, scenes["ids"][:count], device)
    generator, held = torch.Generator(device).manual_seed(1), torch.arange(count - args.held, count, device=device)
    print(f"{count} scenes ready after {time.time() - start:.0f} s, deviation {float(latents[:4096].float().std()):.3f}", flush=True)
    start, step, done, shown = time.time(), 0, 0.0, 0.0
    while done < 1:
        done = min(1.0, max((step + 1) / args.steps, (time.time() - start) / args.seconds))
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 500) * (0.005 + 0.4975 * (1 + math.cos(math.pi * done)))
        rows = torch.randint(count - args.held, (args.batch,), generator=generator, device=device)
        with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
            loss = step_loss(*batches.draw(rows, generator))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update(model)
        step += 1
        if done >= 1 or time.time() - start - shown > args.every:
            shown = time.time() - start
            history.append({"step": step, "seconds": round(shown, 1), "train_loss": round(loss.item(), 4),
                            "held_loss": round(held_loss(average.model, batches, held, device), 4)})
            print(json.dumps(history[-1]), flush=True)
            save(average.model, args.out, {"hardware": training.hardware(), "torch": torch.__version__, "batch": args.batch,
                                           "scenes": count, "parameters": {name: sum(p.numel() for p in part.parameters())
                                                                           for name, part in model.named_children()},
                                           "history": history})


if __name__ == "__main__":
    main()
