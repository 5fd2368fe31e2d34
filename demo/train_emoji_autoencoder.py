"""Trains the emoji demo's autoencoder: 64x64 pixels <-> 16x16x4 latents.

python train_emoji_autoencoder.py [--work DIR] [--out DIR] [--seconds S]
"""
import argparse
import json
import math
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

import emoji_scenes
import training

KL_WEIGHT, PAINTED = 2e-4, 8


def config():
    return dict(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(64, 96, 128), layers_per_block=1,
                latent_channels=4, norm_num_groups=16, act_fn="silu", sample_size=64)


def edges(x):
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def loss_of(model, x, noise):
    """Absolute error of pixels and of their differences, and the divergence from a normal distribution, a latent."""
    mean, log_variance = model.quant_conv(model.encoder(x)).float().chunk(2, 1)
    log_variance = log_variance.clamp(-30, 20)
    z = mean + (0.5 * log_variance).exp() * noise
    y = model.decoder(model.post_quant_conv(z)).float()
    error = (y - x).abs().mean()
    edge = sum((a - b).abs().mean() for a, b in zip(edges(y), edges(x)))
    divergence = 0.5 * (mean ** 2 + log_variance.exp() - 1 - log_variance).mean()
    return error + 0.5 * edge + KL_WEIGHT * divergence, error, divergence


@torch.no_grad()
def held_error(model, x):
    """Signal to noise in decibels over all pixels, the standard deviation of latents, and the pictures."""
    means, pictures = [], []
    for part in x.split(64):
        means.append(model.encode(part).latent_dist.mode())
        pictures.append(model.decode(means[-1]).sample.clamp(-1, 1))
    square = float(((torch.cat(pictures) - x) ** 2).mean())
    return 10 * math.log10(4 / square), float(torch.cat(means).std()), torch.cat(pictures)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".data/emoji"))
    parser.add_argument("--out", type=Path, default=Path(".data/emoji/autoencoder"))
    parser.add_argument("--seconds", type=float, default=36000)
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--held", type=int, default=512, help="scenes kept for measuring")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    device, start = training.device(), time.time()
    pictures, scenes, _ = emoji_scenes.load(args.work)
    painter = emoji_scenes.Painter(pictures, device)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    model = AutoencoderKL(**config()).to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(training.groups(model, 1e-3), lr=args.rate, betas=(0.9, 0.99), fused=device.type == "cuda")
    average, history, count = training.Average(model), [], len(scenes["a"])
    held = painter.paint(scenes, torch.arange(count - args.held, count), torch.Generator(device).manual_seed(3))
    step_loss = torch.compile(loss_of) if args.compile else loss_of
    print(f"ready after {time.time() - start:.0f} s", flush=True)
    start, step, done, shown = time.time(), 0, 0.0, 0.0
    while done < 1:
        done = min(1.0, max((step + 1) / args.steps, (time.time() - start) / args.seconds))
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 200) * (0.01 + 0.495 * (1 + math.cos(math.pi * done)))
        if step % PAINTED == 0:
            painted = painter.paint(scenes, torch.randint(count - args.held, (PAINTED * args.batch,))).split(args.batch)
        x = painted[step % PAINTED]
        noise = torch.randn(args.batch, 4, 16, 16, device=device)
        with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
            loss, error, divergence = step_loss(model, x.contiguous(memory_format=torch.channels_last), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update(model)
        step += 1
        if done >= 1 or time.time() - start - shown > 15:
            shown = time.time() - start
            decibels, deviation, seen = held_error(average.model, held)
            history.append({"step": step, "seconds": round(shown, 1), "error": round(error.item(), 4),
                            "divergence": round(divergence.item(), 3), "held_decibels": round(decibels, 2)})
            print(json.dumps(history[-1]), flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.cpu().contiguous() for name, value in average.model.state_dict().items()}, args.out / "vae.safetensors")
    report = {"hardware": training.hardware(), "torch": torch.__version__, "batch": args.batch, "scaling_factor": round(1 / deviation, 5),
              "parameters": sum(p.numel() for p in model.parameters()), "history": history}
    pairs = torch.stack([held[:64], seen[:64]], 1).flatten(0, 1)
    torch.save(((pairs + 1) * 127.5).round().byte().cpu(), args.out / "pairs.pt")
    (args.out / "training.json").write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
