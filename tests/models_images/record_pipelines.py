"""Writes whole tiny picture models and what their networks answer: `pipeline` as diffusers saves it, `latent-1` and `latent-2` as one
file each in the form of the original releases. The names in those files are made here and checked by diffusers' own conversion."""
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders import single_file_utils as oracle
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from record import CLIP, TINY, UNET, VAE, as_numpy, normal, randomize

HERE = Path(__file__).resolve().parent
# The training code has 32 groups in every norm and heads 64 wide in every text encoder.
WIDE_UNET = dict(UNET, block_out_channels=[32, 32], norm_num_groups=32, cross_attention_dim=64)
WIDE_VAE = dict(VAE, block_out_channels=[32, 32], norm_num_groups=32)
WIDE_CLIP = dict(CLIP, hidden_size=64, num_attention_heads=1, intermediate_size=64, max_position_embeddings=77)
RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
          "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
             "self_attn.out_proj": "attn.out_proj"}


def swapped(rest, table):
    for new, old in table.items():
        if rest.startswith(new + "."):
            return old + rest[len(new):]
    return rest


def unet_name(name, layers, blocks):
    """diffusers' name -> that of the training code, where every resnet, down- and upsampler is a numbered block."""
    part = name.split(".")
    if part[0] == "down_blocks":
        block, kind, layer, rest = int(part[1]), part[2], int(part[3]), ".".join(part[4:])
        start = 1 + block * (layers + 1)
        if kind == "downsamplers":
            return f"input_blocks.{start + layers}.0.op.{part[-1]}"
        return f"input_blocks.{start + layer}." + ("0." + swapped(rest, RESNET) if kind == "resnets" else "1." + rest)
    if part[0] == "mid_block":
        place, rest = (1 if part[1] == "attentions" else 2 * int(part[2])), ".".join(part[3:])
        return f"middle_block.{place}." + (rest if place == 1 else swapped(rest, RESNET))
    if part[0] == "up_blocks":
        block, kind, layer, rest = int(part[1]), part[2], int(part[3]), ".".join(part[4:])
        start = block * (layers + 1)
        if kind == "upsamplers":
            return f"output_blocks.{start + layers}.{2 if blocks[block] else 1}.conv.{part[-1]}"
        return f"output_blocks.{start + layer}." + ("0." + swapped(rest, RESNET) if kind == "resnets" else "1." + rest)
    plain = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_in": "input_blocks.0.0",
             "conv_norm_out": "out.0", "conv_out": "out.2"}
    return swapped(name, plain)


def vae_name(name, levels):
    part = name.split(".")
    half, rest = part[0], ".".join(part[1:])
    if len(part) > 2 and part[1] in ("down_blocks", "up_blocks"):
        side = part[1][:-len("_blocks")]
        level = int(part[2]) if side == "down" else levels - 1 - int(part[2])
        if part[3].endswith("samplers"):
            return f"{half}.{side}.{level}.{part[3][:-3]}e.conv.{part[-1]}".replace("samplee", "sample")
        return f"{half}.{side}.{level}.block.{part[4]}." + swapped(".".join(part[5:]), {"conv_shortcut": "nin_shortcut"})
    if len(part) > 2 and part[1] == "mid_block":
        if part[2] == "attentions":
            return f"{half}.mid.attn_1." + swapped(".".join(part[4:]), VAE_ATTENTION)
        return f"{half}.mid.block_{int(part[3]) + 1}." + ".".join(part[4:])
    return f"{half}." + swapped(rest, {"conv_norm_out": "norm_out"})


def open_clip(state, layers, generator):
    """transformers' text model as OpenCLIP has it, with one more layer at the end."""
    made = {"positional_embedding": state["text_model.embeddings.position_embedding.weight"],
            "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
            "ln_final.weight": state["text_model.final_layer_norm.weight"],
            "ln_final.bias": state["text_model.final_layer_norm.bias"],
            "text_projection": torch.randn(64, 64, generator=generator)}
    for layer in range(layers):
        old, new = f"text_model.encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
        for name, value in state.items():
            if name.startswith(old) and not any(p in name for p in ("q_proj", "k_proj", "v_proj")):
                made[new + swapped(name[len(old):], OPEN_CLIP)] = value
        for kind in ("weight", "bias"):
            made[f"{new}attn.in_proj_{kind}"] = torch.cat([state[f"{old}self_attn.{p}_proj.{kind}"] for p in "qkv"])
    last = f"transformer.resblocks.{layers - 1}."
    made.update({name.replace(last, f"transformer.resblocks.{layers}."): torch.randn(value.shape, generator=generator)
                 for name, value in made.items() if name.startswith(last)})
    return made


@torch.no_grad()
def answers(text, unet, vae, generator, tiny=None):
    channels = vae.config.latent_channels
    ids = torch.randint(3, 39, (2, 7), generator=generator)
    out = {"text_encoder.input_ids": ids, "unet.sample": normal(generator, 2, unet.config.in_channels, 8, 4),
           "unet.timestep": torch.tensor(431), "unet.encoder_hidden_states": normal(generator, 2, 7, unet.config.cross_attention_dim),
           "vae_encoder.sample": normal(generator, 1, 3, 8, 12), "vae_decoder.latent_sample": normal(generator, 1, channels, 4, 6)}
    out["text_encoder.last_hidden_state"] = text.float()(ids).last_hidden_state
    out["unet.out_sample"] = unet(out["unet.sample"], out["unet.timestep"], out["unet.encoder_hidden_states"]).sample
    out["vae_encoder.latent_parameters"] = vae.encode(out["vae_encoder.sample"]).latent_dist.parameters
    out["vae_decoder.sample"] = vae.decode(out["vae_decoder.latent_sample"]).sample
    if tiny is not None:
        out["tiny_decoder.latent_sample"] = normal(generator, 1, channels, 3, 2)
        out["tiny_decoder.sample"] = tiny.decode(out["tiny_decoder.latent_sample"]).sample
    return {name: as_numpy(value) for name, value in out.items()}


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def tokenizer(folder):
    """40 entries, the last two the start and the end."""
    letters = [chr(97 + i) for i in range(19)]
    entries = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({entry: i for i, entry in enumerate(entries)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    made = CLIPTokenizer(folder / "vocab.json", folder / "merges.txt", model_max_length=9)
    shutil.rmtree(folder)
    return made


def record_pipeline():
    generator = torch.Generator().manual_seed(11)
    folder = fresh("pipeline")
    text = randomize(CLIPTextModel(CLIPTextConfig(**dict(CLIP, hidden_size=12), attn_implementation="eager")), generator)
    unet = randomize(UNet2DConditionModel(**UNET), generator)
    vae = randomize(AutoencoderKL(**VAE), generator)
    tiny = randomize(AutoencoderTiny(**TINY), generator)
    arrays = answers(text, unet, vae, generator, tiny)
    pipe = StableDiffusionPipeline(vae.half(), text.half(), tokenizer(folder / "t"), unet.half(),
                                   PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1), None, None,
                                   requires_safety_checker=False)
    pipe.save_pretrained(folder)
    tiny.half().save_pretrained(folder / "tiny_vae")
    np.savez_compressed(folder / "expected.npz", **arrays)


def record_latent(name, generator, linear, gated):
    folder = fresh(name)
    heads = 2 if linear else 8
    unet = randomize(UNet2DConditionModel(**dict(WIDE_UNET, attention_head_dim=heads, use_linear_projection=linear)), generator)
    vae = randomize(AutoencoderKL(**WIDE_VAE), generator)
    config = CLIPTextConfig(**WIDE_CLIP, hidden_act="gelu" if gated else "quick_gelu", attn_implementation="eager")
    text = randomize(CLIPTextModel(config), generator)
    np.savez_compressed(folder / "expected.npz", **answers(text, unet, vae, generator))
    attends = ["CrossAttn" in kind for kind in UNET["up_block_types"]]
    state = {f"model.diffusion_model.{unet_name(key, 1, attends)}": value for key, value in unet.state_dict().items()}
    check(oracle.convert_ldm_unet_checkpoint(dict(state), dict(layers_per_block=1)), unet.state_dict())
    vae_state = {}
    for key, value in vae.state_dict().items():
        matrix = ".attentions." in key and value.dim() == 2
        vae_state[f"first_stage_model.{vae_name(key, 2)}"] = value[:, :, None, None] if matrix else value
    check(oracle.convert_ldm_vae_checkpoint(dict(vae_state), dict(WIDE_VAE)), vae.state_dict())
    if not gated:  # the second file comes without one
        state.update(vae_state)
    if gated:
        clip = {f"cond_stage_model.model.{key}": value for key, value in open_clip(text.state_dict(), 2, generator).items()}
        converted = oracle.convert_open_clip_checkpoint(text, dict(clip))
        check({key: value for key, value in converted.items() if key in text.state_dict()}, text.state_dict())
    else:
        clip = {f"cond_stage_model.transformer.{key}": value for key, value in text.state_dict().items()}
        clip["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    state.update(clip)
    state["alphas_cumprod"] = torch.linspace(1, 0, 5)
    state["model_ema.diffusion_modelconv_inweight"] = torch.zeros(3)
    return folder, {key: value.half().contiguous() if value.is_floating_point() else value for key, value in state.items()}


def check(found, expected):
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


YAML = """model:
  base_learning_rate: 1.0e-4
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    parameterization: "v"
    linear_start: 0.00085
    linear_end: 0.0120
    timesteps: 1000
    scale_factor: 0.18215
    unet_config:
      params:
        attention_resolutions: [ 4, 2, 1 ]
        channel_mult: [ 1, 1 ]
        num_head_channels: 16 # the published ones have 64
        use_linear_in_transformer: True
"""


def main():
    torch.set_num_threads(1)
    record_pipeline()
    folder, state = record_latent("latent-1", torch.Generator().manual_seed(12), linear=False, gated=False)
    save_file(state, folder / "model.safetensors")
    folder, state = record_latent("latent-2", torch.Generator().manual_seed(13), linear=True, gated=True)
    torch.save({"state_dict": state, "global_step": 7, "epoch": 1}, folder / "model.ckpt")
    (folder / "model.yaml").write_text(YAML)


if __name__ == "__main__":
    main()
