"""Makes the folder emoji-diffusion from what the training scripts wrote, records what diffusers answers for it in
float32 on a CPU, and draws the contact sheet: python record_emoji.py [--work DIR]

reference.npz has one prompt's way through the pipeline; names and shapes are in README.md.
"""
import argparse
import json
import shutil
import textwrap
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

import train_emoji_autoencoder
import train_emoji_diffusion

FOLDER = Path(__file__).resolve().parent / "emoji-diffusion"
STEPS, GUIDANCE, SIDE = 25, 5.0, 64
REFERENCE = "a red apple on a blue background"
SHEET = (
    ("names", ("grinning face", "cat face", "rocket", "red apple", "robot", "flag of japan")),
    ("held-out colours", ("a blue rocket", "a red elephant", "a purple strawberry", "a green penguin", "a blue tiger face",
                          "a pink butterfly")),
    ("held-out places", ("an astronaut on a blue background", "a panda in the snow", "a ghost under water",
                         "a crown on a red background", "a cactus at sunset", "a guitar in the desert")),
    ("held-out pairs", ("a fox and a strawberry", "a rocket next to a lion", "a cat and an astronaut", "a robot next to a dog face",
                        "an umbrella above a banana", "a frog and a tiger face on a pink background")),
    ("free wording", ("a purple elephant standing in snow", "i would like a very happy face in the desert please",
                      "three pizzas floating in the sea", "a tiny dog at the top left of a starry night",
                      "huge blue strawberry, pink polka dots", "the moon above a house in the evening")),
)


def build(work):
    shutil.rmtree(FOLDER, ignore_errors=True)
    reports = {name: json.loads((work / name / "training.json").read_text()) for name in ("autoencoder", "diffusion")}
    vae = AutoencoderKL(**train_emoji_autoencoder.config(), scaling_factor=reports["autoencoder"]["scaling_factor"])
    vae.load_state_dict(load_file(work / "autoencoder/vae.safetensors"))
    text = CLIPTextModel(train_emoji_diffusion.text_config())
    text.load_state_dict(load_file(work / "diffusion/text_encoder.safetensors"))
    unet = UNet2DConditionModel(**train_emoji_diffusion.unet_config())
    unet.load_state_dict(load_file(work / "diffusion/unet.safetensors"))
    pipeline = StableDiffusionPipeline(
        vae=vae.half(), text_encoder=text.half(), unet=unet.half(), tokenizer=CLIPTokenizer.from_pretrained(work / "tokenizer"),
        scheduler=DDIMScheduler(**train_emoji_diffusion.scheduler_config()), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False)
    pipeline.save_pretrained(FOLDER, safe_serialization=True)
    (FOLDER / "training.json").write_text(json.dumps(reports, indent=1) + "\n")
    for path in FOLDER.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def load():
    pipeline = StableDiffusionPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def noise(seeds):
    """[n,4,16,16]: numpy's generator, so that the seed means the same everywhere."""
    return torch.from_numpy(np.stack([np.random.default_rng(seed).standard_normal((4, 16, 16), np.float32) for seed in seeds]))


@torch.no_grad()
def reference(pipeline):
    """One prompt: ids, the text encoder's output, one call of the UNet, the latents after all steps and the picture."""
    ids = pipeline.tokenizer(REFERENCE, padding="max_length", return_tensors="pt").input_ids
    words, start = pipeline.text_encoder(ids)[0], noise([0])
    unet = pipeline.unet(start, torch.tensor([500]), encoder_hidden_states=words).sample
    options = dict(prompt=REFERENCE, latents=start, num_inference_steps=STEPS, guidance_scale=GUIDANCE)
    latents = pipeline(**options, output_type="latent").images
    image = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    np.savez(FOLDER / "reference.npz", ids=ids.int().numpy(), text=words.numpy(), noise=start.numpy(), unet_500=unet.numpy(),
             latents=latents.numpy(), image=image.numpy())


def draw(pipeline, prompts, seeds):
    images = []
    for at in range(0, len(prompts), 6):
        images += pipeline(list(prompts[at:at + 6]), latents=noise(seeds[at:at + 6]), num_inference_steps=STEPS,
                           guidance_scale=GUIDANCE).images
    return images


def sheet(pipeline, rows, path):
    """Rows of pictures, twice as large, with their prompts below; 256 colours keep the file small."""
    side, font = 2 * SIDE, ImageFont.load_default(10)
    width, height = side + 8, side + 42
    page = Image.new("RGB", (width * max(len(row) for row in rows), height * len(rows)), "white")
    write = ImageDraw.Draw(page)
    prompts = [prompt for row in rows for prompt in row]
    images = iter(draw(pipeline, prompts, list(range(len(prompts)))))
    for y, row in enumerate(rows):
        for x, prompt in enumerate(row):
            page.paste(next(images).resize((side, side), Image.Resampling.BICUBIC), (x * width + 4, y * height + 2))
            write.text((x * width + 4, y * height + side + 3), "\n".join(textwrap.wrap(prompt, 22)[:3]), "black", font, spacing=1)
    page.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".data/emoji"))
    args = parser.parse_args()
    build(args.work)
    pipeline = load()
    reference(pipeline)
    sheet(pipeline, [row for _, row in SHEET], FOLDER / "samples.png")


if __name__ == "__main__":
    main()
