"""Writes a diffusers checkpoint with random weights at the true dimensions of Stable Diffusion.

python bench/random_pictures.py sd-2.1 OUT_DIR

Speed and memory do not depend on the values, so this stands for the real thing where that may not be downloaded.
Needs torch, transformers and diffusers, for the shapes that their classes give each configuration; no weight is
made by them. Weights are float16. The tokenizer knows single bytes only.
"""

import argparse
import json
import pathlib

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from random_checkpoint import Pool

BASE = dict(sample_size=64, in_channels=4, out_channels=4, block_out_channels=[320, 640, 1280, 1280], layers_per_block=2,
            down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
            up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3)
MODELS = {
    "sd-1.5": dict(unet=dict(BASE, cross_attention_dim=768, attention_head_dim=8),
                   text=dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
                             hidden_act="quick_gelu"), prediction="epsilon"),
    "sd-2.1": dict(unet=dict(BASE, sample_size=96, cross_attention_dim=1024, attention_head_dim=[5, 10, 20, 20],
                             use_linear_projection=True, upcast_attention=True),
                   text=dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16,
                             hidden_act="gelu", projection_dim=512), prediction="v_prediction"),
}
VAE = dict(sample_size=768, in_channels=3, out_channels=3, latent_channels=4, layers_per_block=2,
           block_out_channels=[128, 256, 512, 512], down_block_types=["DownEncoderBlock2D"] * 4,
           up_block_types=["UpDecoderBlock2D"] * 4, norm_num_groups=32)
SCHEDULER = {"_class_name": "DDIMScheduler", "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
             "beta_schedule": "scaled_linear", "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
INDEX = {"_class_name": "StableDiffusionPipeline", "text_encoder": ["transformers", "CLIPTextModel"],
         "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
         "vae": ["diffusers", "AutoencoderKL"], "scheduler": ["diffusers", "DDIMScheduler"]}


def write_part(folder, name, model, config, pool):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    header, offset, shapes = {"__metadata__": {"format": "pt"}}, 0, []
    for key, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            size = 2 * value.numel()
            header[key] = {"dtype": "F16", "shape": list(value.shape), "data_offsets": [offset, offset + size]}
            offset += size
            shapes.append((key, tuple(value.shape)))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / name, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key, shape in shapes:
            pool.take_float16(key, shape).tofile(file)
    print(f"{folder.name}: {offset / 2e6:.0f} M values", flush=True)


def write_tokenizer(folder):
    folder.mkdir(parents=True, exist_ok=True)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = characters + [c + "</w>" for c in characters]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    vocabulary.update({"<|startoftext|>": 49406, "<|endoftext|>": 49407})
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, "pad_token": "<|endoftext|>",
         "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    wanted, pool = MODELS[args.model], Pool(args.seed)
    text = CLIPTextConfig(max_position_embeddings=77, vocab_size=49408, eos_token_id=2, **wanted["text"])
    with torch.device("meta"):
        parts = {
            "unet": ("diffusion_pytorch_model.safetensors", UNet2DConditionModel(**wanted["unet"])),
            "vae": ("diffusion_pytorch_model.safetensors", AutoencoderKL(**VAE)),
            "text_encoder": ("model.safetensors", CLIPTextModel(text)),
        }
    for name, (file, model) in parts.items():
        config = dict(model.config) if name != "text_encoder" else dict(text.to_dict(), architectures=["CLIPTextModel"])
        config = {k: v for k, v in config.items() if not k.startswith("_")}
        if name != "text_encoder":
            config["_class_name"] = type(model).__name__
        write_part(args.out / name, file, model, config, pool)
    write_tokenizer(args.out / "tokenizer")
    (args.out / "scheduler").mkdir(exist_ok=True)
    (args.out / "scheduler/scheduler_config.json").write_text(
        json.dumps(dict(SCHEDULER, prediction_type=wanted["prediction"]), indent=2))
    (args.out / "model_index.json").write_text(json.dumps(INDEX, indent=2))


if __name__ == "__main__":
    main()
