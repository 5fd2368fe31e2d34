"""Writes the tiny components of this folder and what diffusers and transformers answer for them: python record.py [NAME ...]

Each component differs from the base of its kind in a few fields, so a failing name says what is wrong.
Needs torch, diffusers 0.39, transformers 4.57 and safetensors; see README.md for what the arrays mean.
"""
import json
import shutil
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.models.transformers.dual_transformer_2d import DualTransformer2DModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

HERE = Path(__file__).resolve().parent

UNET = dict(sample_size=8, in_channels=4, out_channels=4, block_out_channels=[4, 8], layers_per_block=1,
            down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"], up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
            cross_attention_dim=12, attention_head_dim=2, norm_num_groups=2)
CROSS3 = dict(block_out_channels=[4, 4, 8],
              down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
              up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"])
ALL_CROSS = dict(down_block_types=["CrossAttnDownBlock2D"] * 2, up_block_types=["CrossAttnUpBlock2D"] * 2)

UNETS = {
    "unet-base": dict(),
    "unet-sd1": dict(block_out_channels=[4, 4, 8, 8], layers_per_block=2,
                     down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
                     up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3),
    "unet-sd2": dict(**CROSS3, attention_head_dim=[1, 2, 4], use_linear_projection=True, upcast_attention=True),
    "unet-only-cross": dict(**ALL_CROSS, only_cross_attention=[True, False]),
    "unet-dual": dict(dual_cross_attention=True, tokens=90),
    "unet-depths": dict(**CROSS3, layers_per_block=[1, 2, 1], transformer_layers_per_block=[1, 2, 1]),
    "unet-depths-nested": dict(**ALL_CROSS, layers_per_block=2, transformer_layers_per_block=[[1, 2], [2, 1]],
                               reverse_transformer_layers_per_block=[[2, 1, 1], [1, 2, 1]]),
    "unet-scale-shift": dict(resnet_time_scale_shift="scale_shift", mid_block_scale_factor=1.41, downsample_padding=0),
    "unet-time": dict(flip_sin_to_cos=False, freq_shift=1, time_embedding_dim=20, time_embedding_act_fn="gelu",
                      timestep_post_act="mish"),
    "unet-fourier": dict(time_embedding_type="fourier", timestep=0.75),
    "unet-class-table": dict(num_class_embeds=5),
    "unet-class-timestep": dict(class_embed_type="timestep"),
    "unet-class-identity": dict(class_embed_type="identity"),
    "unet-class-projection": dict(class_embed_type="projection", projection_class_embeddings_input_dim=6,
                                  class_embeddings_concat=True),
    "unet-class-simple": dict(class_embed_type="simple_projection", projection_class_embeddings_input_dim=6),
    "unet-lcm": dict(time_cond_proj_dim=10),
    "unet-inpaint": dict(in_channels=9, out_channels=8, center_input_sample=True, conv_in_kernel=5, conv_out_kernel=1,
                         act_fn="gelu", norm_eps=1e-3),
    "unet-no-mid": dict(mid_block_type=None),
    "unet-plain-mid": dict(mid_block_type="UNetMidBlock2D", act_fn="mish"),
    "unet-uneven-heads": dict(block_out_channels=[6, 12], attention_head_dim=5),
    "unet-odd-width": dict(block_out_channels=[9, 15], norm_num_groups=3, attention_head_dim=3),
    "unet-text-proj": dict(encoder_hid_dim=7),
    "unet-any-size": dict(**CROSS3, height=7, width=5),
}

CLIP = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=9, projection_dim=10, bos_token_id=38, eos_token_id=39, pad_token_id=39)
CLIPS = {
    "clip-base": dict(hidden_act="quick_gelu"),
    "clip-old-end-token": dict(hidden_act="quick_gelu", eos_token_id=2, bos_token_id=0, pad_token_id=1),
    "clip-gelu": dict(hidden_act="gelu", num_hidden_layers=3, num_attention_heads=4, pad_token_id=0),
    "clip-tanh-gelu": dict(hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-3, intermediate_size=19, hidden_size=15,
                           num_attention_heads=3),
    "clip-projection": dict(hidden_act="gelu", projection=True),
    "clip-hidden-states": dict(hidden_act="quick_gelu", output_hidden_states=True, max_position_embeddings=77),
}

VAE = dict(in_channels=3, out_channels=3, block_out_channels=[8, 16], layers_per_block=1, latent_channels=4,
           down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2, norm_num_groups=4,
           sample_size=16)
VAES = {
    "vae-base": dict(),
    "vae-sd": dict(block_out_channels=[4, 8, 8, 8], layers_per_block=2, down_block_types=["DownEncoderBlock2D"] * 4,
                   up_block_types=["UpDecoderBlock2D"] * 4, height=40, width=32),
    "vae-one-block": dict(block_out_channels=[8], down_block_types=["DownEncoderBlock2D"],
                          up_block_types=["UpDecoderBlock2D"], latent_channels=3, act_fn="gelu"),
    "vae-no-quant": dict(use_quant_conv=False, use_post_quant_conv=False, mid_block_add_attention=False,
                         latent_channels=16),
    "vae-attention": dict(down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
                          up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"]),
    "vae-odd-size": dict(in_channels=1, out_channels=2, height=13, width=10),
    "vae-old-names": dict(old_names=True),
}

TINY = dict(in_channels=3, out_channels=3, encoder_block_out_channels=[8] * 3, decoder_block_out_channels=[8] * 3,
            num_encoder_blocks=[1, 2, 1], num_decoder_blocks=[2, 1, 1], latent_channels=4)
TINIES = {
    "tiny-base": dict(),
    "tiny-thirds": dict(act_fn="gelu", upsampling_scaling_factor=3, latent_channels=6, num_decoder_blocks=[1, 0, 2],
                        num_encoder_blocks=[0, 1, 1], height=12, width=10),
}
OLD_ATTENTION_NAMES = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}


def allow_dual_attention():
    """diffusers 0.39 hands its dual transformers a mask argument that they do not know; it is None here."""
    forward = DualTransformer2DModel.forward

    def without_mask(self, *args, encoder_attention_mask=None, **kwargs):
        return forward(self, *args, **kwargs)

    DualTransformer2DModel.forward = without_mask


def randomize(model, generator):
    """Every parameter random, so that none can be forgotten, and of a size that keeps activations near 1; float16 values."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        if parameter.dim() >= 2 and "embedding" not in name:
            noise = noise / np.sqrt(parameter[0].numel())
        elif "norm" in name and name.endswith("weight"):
            noise = 1 + 0.2 * noise
        elif parameter.dim() == 1 and not name.startswith("time_proj"):
            noise = 0.2 * noise
        parameter.data = noise.to(torch.float16).to(torch.float64)
    return model.double().eval()  # computed in float64, all but CLIP, whose mask overflows there


def normal(generator, *shape):
    return torch.randn(shape, generator=generator).double()


@torch.no_grad()
def record_unet(changes, generator):
    settings = {**UNET, **changes}
    height, width = settings.pop("height", 8), settings.pop("width", 8)
    tokens, timestep = settings.pop("tokens", 6), settings.pop("timestep", 801)
    model = randomize(UNet2DConditionModel(**settings), generator)
    text_width = settings.get("encoder_hid_dim", settings["cross_attention_dim"])
    inputs = {"sample": normal(generator, 2, settings["in_channels"], height, width),
              "encoder_hidden_states": normal(generator, 2, tokens, text_width)}
    kind, extra = settings.get("class_embed_type"), {}
    if settings.get("num_class_embeds"):
        extra["class_labels"] = torch.tensor([3, 0])
    elif kind == "timestep":
        extra["class_labels"] = torch.tensor([17, 512])
    elif kind == "identity":
        extra["class_labels"] = normal(generator, 2, model.time_embedding.linear_2.out_features)
    elif kind:
        extra["class_labels"] = normal(generator, 2, settings["projection_class_embeddings_input_dim"])
    if settings.get("time_cond_proj_dim"):
        extra["timestep_cond"] = normal(generator, 2, settings["time_cond_proj_dim"])
    out = {**inputs, **extra}
    if isinstance(timestep, int):
        out["timestep"] = torch.tensor(timestep)
        out["out_sample"] = model(timestep=torch.tensor(timestep), **inputs, **extra).sample
    times = torch.tensor([timestep, 0.5], dtype=torch.float64)  # fractions are allowed where times are floats
    out["timesteps"], out["out_sample_each"] = times, model(timestep=times, **inputs, **extra).sample
    return model, out


@torch.no_grad()
def record_clip(changes, generator):
    settings = {**CLIP, **changes}
    projection = settings.pop("projection", False)
    config = CLIPTextConfig(**settings, attn_implementation="eager")
    model = randomize((CLIPTextModelWithProjection if projection else CLIPTextModel)(config), generator).float()
    ids = torch.randint(3, 37, (3, 7), generator=generator)
    ids[:, 0] = 38
    for row, end in enumerate((6, 3, 4)):  # the end token is the largest id; padding behind it differs from case to case
        ids[row, end] = 39
        ids[row, end + 1:] = settings["pad_token_id"]
    out, result = {"input_ids": ids}, model(ids)
    out["last_hidden_state"] = result.last_hidden_state
    if projection:
        out["text_embeds"] = result.text_embeds
    else:
        out["pooler_output"] = result.pooler_output
    for index, value in enumerate(model(ids, output_hidden_states=True).hidden_states):
        out[f"hidden_states.{index}"] = value
    return model, out


@torch.no_grad()
def record_vae(changes, generator):
    settings = {**VAE, **changes}
    height, width = settings.pop("height", 16), settings.pop("width", 24)
    settings.pop("old_names", None)
    model = randomize(AutoencoderKL(**settings), generator)
    picture = normal(generator, 2, settings["in_channels"], height, width)
    parameters = model.encode(picture).latent_dist.parameters
    latents = normal(generator, 2, *parameters.shape[1:])[:, :settings["latent_channels"]]
    return model, {"encoder.sample": picture, "encoder.latent_parameters": parameters,
                   "decoder.latent_sample": latents, "decoder.sample": model.decode(latents).sample}


@torch.no_grad()
def record_tiny(changes, generator):
    settings = {**TINY, **changes}
    height, width = settings.pop("height", 16), settings.pop("width", 8)
    model = randomize(AutoencoderTiny(**settings), generator)
    picture = normal(generator, 2, settings["in_channels"], height, width)
    latents = 2 * normal(generator, 2, settings["latent_channels"], 5, 3)
    return model, {"encoder.sample": picture, "encoder.latent_sample": model.encode(picture).latents,
                   "decoder.latent_sample": latents, "decoder.sample": model.decode(latents).sample}


def as_numpy(value):
    return value.to(torch.float32 if value.is_floating_point() else torch.int64).contiguous().numpy()


def save(folder, model, arrays, old_names=False):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.half().save_pretrained(folder)
    if old_names:
        state = {}
        for name, value in model.state_dict().items():
            for new, old in OLD_ATTENTION_NAMES.items():
                name = name.replace(new, old) if ".attentions." in name else name
            state[name] = value.contiguous()
        save_file(state, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{folder.name}: {name} is not finite")
    np.savez_compressed(folder / "expected.npz", **arrays)


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    allow_dual_attention()
    wanted = sys.argv[1:]
    for table, record in ((UNETS, record_unet), (CLIPS, record_clip), (VAES, record_vae), (TINIES, record_tiny)):
        for name, changes in table.items():
            if wanted and name not in wanted:
                continue
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            model, out = record(dict(changes), generator)
            save(HERE / name, model, {key: as_numpy(value) for key, value in out.items()}, changes.get("old_names", False))
            spread = {key: round(float(value.double().std()), 3) for key, value in out.items()
                      if key.split(".")[-1] in ("out_sample_each", "last_hidden_state", "sample", "latent_parameters")}
            print(name, json.dumps(spread))


if __name__ == "__main__":
    main()
