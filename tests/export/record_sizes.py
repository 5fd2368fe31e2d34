"""Records what diffusers answers at other sizes than ../models_images/*/expected.npz has: python record_sizes.py

Writes sizes.npz: MODEL/NAME for every input and output (torch 2.15, diffusers 0.39, computed in float64)."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models_images"


def normal(generator, *shape):
    return torch.randn(shape, generator=generator)


@torch.no_grad()
def main():
    generator = torch.Generator().manual_seed(11)
    found = {}
    for name in ("unet-base", "unet-sd1", "unet-sd2"):
        model = UNet2DConditionModel.from_pretrained(MODELS / name).double().eval()
        sample, states = normal(generator, 3, 4, 8, 24), normal(generator, 3, 11, model.config.cross_attention_dim)
        found[f"{name}/sample"], found[f"{name}/encoder_hidden_states"] = sample, states
        found[f"{name}/timestep"] = torch.tensor(77)
        found[f"{name}/out_sample"] = model(sample.double(), torch.tensor(77), states.double()).sample.float()
    for name in ("vae-base", "vae-sd"):
        model = AutoencoderKL.from_pretrained(MODELS / name).double().eval()
        factor = 2 ** (len(model.config.block_out_channels) - 1)
        picture, latents = normal(generator, 1, 3, 2 * factor, 5 * factor), normal(generator, 3, 4, 6, 3)
        found[f"{name}/encoder.sample"] = picture
        found[f"{name}/encoder.latent_parameters"] = model.encode(picture.double()).latent_dist.parameters.float()
        found[f"{name}/decoder.latent_sample"] = latents
        found[f"{name}/decoder.sample"] = model.decode(latents.double()).sample.float()
    np.savez_compressed(HERE / "sizes.npz", **{name: value.numpy() for name, value in found.items()})


if __name__ == "__main__":
    main()
