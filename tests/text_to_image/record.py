"""Makes a tiny random Stable Diffusion and records its pipelines: what goes into and out of each network, the latents of
every step, and the pictures.

    python record.py

Writes tiny/ (a diffusers folder; unet_inpaint/ is a second unet of nine channels) and runs.json with runs.npz: for each run the
request, and arrays RUN/encode_text.N.ids, RUN/unet.N.sample and so on, in the order of the calls.
"""
import json
import pathlib
import shutil
import sys

import diffusers
import numpy as np
import torch
from diffusers import (AutoencoderKL, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline,
                       UNet2DConditionModel)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tokenizers"))
import record_clip

BASE = {"_class_name": "DDIMScheduler", "_diffusers_version": "0.39.0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "beta_start": 0.00085, "clip_sample": False, "num_train_timesteps": 1000, "prediction_type": "v_prediction",
        "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None}
CLASSES = {"ddim": "DDIMScheduler", "pndm": "PNDMScheduler", "euler": "EulerDiscreteScheduler",
           "euler_a": "EulerAncestralDiscreteScheduler", "heun": "HeunDiscreteScheduler", 
           "dpmpp_2m": "DPMSolverMultistepScheduler", "unipc": "UniPCMultistepScheduler", "ddpm": "DDPMScheduler"}


def unet(channels, seed):
    torch.manual_seed(seed)
    model = UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16, attention_head_dim=(2, 4), norm_num_groups=4, use_linear_projection=True).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "attn2" in name and "weight" in name or "proj_out.weight" in name:
                parameter *= 3  # else the prompt hardly matters to random weights
    return model.half()


def make_model():
    shutil.rmtree(HERE / "tiny", ignore_errors=True)
    (HERE / "tiny/tokenizer").mkdir(parents=True)
    merges = record_clip.small_merges()
    record_clip.write(HERE / "tiny/tokenizer", record_clip.files_of(merges, record_clip.SD2))
    tokenizer = CLIPTokenizer.from_pretrained(HERE / "tiny/tokenizer")
    torch.manual_seed(1)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        hidden_act="gelu", projection_dim=16, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)).eval()
    torch.manual_seed(2)
    vae = AutoencoderKL(
        block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4, layers_per_block=1, norm_num_groups=4, sample_size=16).eval()
    with torch.no_grad():
        # Random networks give almost nothing; these factors give pictures with contrast, and latents with variance.
        vae.decoder.conv_out.weight *= 0.6
        vae.encoder.conv_out.weight *= 4
        for name, parameter in text.named_parameters():
            if "layer_norm" in name and name.endswith("weight"):
                parameter += 0.3 * torch.randn_like(parameter)
    scheduler = diffusers.DDIMScheduler.from_config(BASE)
    pipe = StableDiffusionPipeline(vae, text, tokenizer, unet(4, 3), scheduler, None, None, requires_safety_checker=False)
    vae.half(), text.half()  # the files; the pipelines below compute in float32
    pipe.save_pretrained(HERE / "tiny")
    record_clip.write(HERE / "tiny/tokenizer", record_clip.files_of(merges, record_clip.SD2))
    unet(9, 4).save_pretrained(HERE / "tiny/unet_inpaint")
    return pipe


class Recorder:
    """Notes the calls of the networks under RUN/component.N.name."""

    def __init__(self):
        self.arrays = {}

    def add(self, key, value):
        self.arrays[f"{self.run}/{key}"] = np.array(value.detach() if torch.is_tensor(value) else value)

    def begin(self, run):
        self.run, self.counts = run, {}

    def next(self, component):
        index = self.counts.get(component, 0)
        self.counts[component] = index + 1
        return f"{component}.{index}"

    def wrap(self, pipe):
        text, unet_forward, encode, decode = pipe.text_encoder.forward, pipe.unet.forward, pipe.vae.encoder.forward, pipe.vae.decoder.forward

        def text_forward(ids, *args, **kwargs):
            output = text(ids, *args, **kwargs)
            key = self.next("text_encoder")
            self.add(key + ".ids", ids)
            if kwargs.get("output_hidden_states"):  # what the pipeline makes of it with clip_skip
                hidden = output.hidden_states[-(self.clip_skip + 1)]
                self.add(key + ".states", pipe.text_encoder.text_model.final_layer_norm(hidden))
            else:
                self.add(key + ".states", output[0])
            return output

        def unet_call(sample, timestep, encoder_hidden_states, **kwargs):
            output = unet_forward(sample, timestep, encoder_hidden_states, **kwargs)
            key = self.next("unet")
            self.add(key + ".sample", sample)
            self.add(key + ".timestep", np.float64(timestep.item()))
            if key == "unet.0":  # the same in every call
                self.add(key + ".states", encoder_hidden_states)
            self.add(key + ".output", output[0])
            return output

        def encoder(sample):
            output = encode(sample)
            key = self.next("vae_encoder")
            self.add(key + ".sample", sample)
            self.add(key + ".parameters", pipe.vae.quant_conv(output))
            return output

        def post_quant(latents, forward=pipe.vae.post_quant_conv.forward):
            self.pending = latents
            return forward(latents)

        def decoder(latents, *args):
            output = decode(latents, *args)
            key = self.next("vae_decoder")
            self.add(key + ".latents", self.pending)
            self.add(key + ".sample", output)
            return output

        pipe.text_encoder.forward, pipe.unet.forward = text_forward, unet_call
        pipe.vae.encoder.forward, pipe.vae.decoder.forward, pipe.vae.post_quant_conv.forward = encoder, decoder, post_quant


def picture(width, height, seed=5):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 100 * np.sin(x / (3 + c)) * np.cos(y / (5 - c)) + rng.normal(0, 10, (height, width)) for c in range(3)]
    return Image.fromarray(np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8))


def hole(width, height):
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4:height * 3 // 4, width // 3:] = 255
    return Image.fromarray(mask)


PROMPT = "a small wooden boat on the river"
RUNS = {
    **{f"text-{name}": dict(scheduler=name) for name in CLASSES},
    "text-plain": dict(scheduler="ddim", guidance=1.0),
    "text-negative": dict(scheduler="dpmpp_2m", negative="rain, water", guidance=4.0),
    "text-two": dict(scheduler="euler_a", images=2, seeds=[11]),
    "text-list": dict(scheduler="euler_a", images=2, seeds=[11, 12]),
    "text-wide": dict(scheduler="ddim", width=24, height=16, steps=2),
    "text-rescale": dict(scheduler="ddim", rescale=0.7, config={"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}),
    "text-eta": dict(scheduler="ddim", eta=0.8),
    "text-skip": dict(scheduler="ddim", clip_skip=1, steps=2),
    "text-old": dict(scheduler="ddim", steps=3, config={"steps_offset": 0, "clip_sample": True, "prediction_type": "epsilon"}),
    "text-long": dict(scheduler="ddim", steps=2, prompt=" ".join([PROMPT] * 14), chunks=False),
    "text-karras": dict(scheduler="dpmpp_2m", config={"use_karras_sigmas": True}),
    "text-tiled": dict(scheduler="ddim", width=32, height=24, steps=2, tiles=True),
    "text-sliced": dict(scheduler="ddim", steps=2, images=2, slicing=True),
    **{f"image-{name}": dict(scheduler=name, init=(20, 17), strength=0.6, steps=5) for name in ("ddim", "euler", "heun", "dpmpp_2m", "pndm")},
    "image-two": dict(scheduler="euler_a", init=(16, 16), strength=0.5, images=2, seeds=[3]),
    "image-list": dict(scheduler="euler_a", init=(16, 16), strength=0.5, images=2, seeds=[3, 4]),
    "image-tiled": dict(scheduler="ddim", init=(24, 32), strength=0.5, tiles=True),
    **{f"mask-{name}": dict(scheduler=name, init=(16, 20), mask=(16, 20), strength=0.7, steps=4, width=16, height=16)
       for name in ("ddim", "euler_a", "dpmpp_2m", "pndm")},
    "mask-full": dict(scheduler="euler", init=(16, 16), mask=(16, 16), strength=1.0, steps=3, width=16, height=16),
    "mask-two": dict(scheduler="ddim", init=(16, 16), mask=(16, 16), strength=1.0, steps=2, images=2, width=16, height=16),
    "mask9-ddim": dict(scheduler="ddim", init=(16, 16), mask=(16, 16), strength=1.0, steps=3, nine=True, width=16, height=16),
    "mask9-part": dict(scheduler="euler_a", init=(20, 16), mask=(20, 16), strength=0.6, steps=4, nine=True, width=16, height=16),
    "mask9-two": dict(scheduler="dpmpp_2m", init=(16, 16), mask=(16, 16), strength=1.0, steps=2, nine=True, images=2, width=16, height=16),
}


def run(recorder, name, request):
    recorder.begin(name)
    load = lambda kind: kind.from_pretrained(HERE / "tiny", safety_checker=None, requires_safety_checker=False, low_cpu_mem_usage=False)
    kind = StableDiffusionPipeline if "init" not in request else (
        StableDiffusionInpaintPipeline if "mask" in request else StableDiffusionImg2ImgPipeline)
    parts = load(StableDiffusionPipeline).components
    config = {**BASE, **request.get("config", {}), "_class_name": CLASSES[request["scheduler"]]}
    parts["scheduler"] = getattr(diffusers, CLASSES[request["scheduler"]]).from_config(config)
    if request.get("nine"):
        parts["unet"] = UNet2DConditionModel.from_pretrained(HERE / "tiny/unet_inpaint")
    pipe = kind(**parts, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    recorder.clip_skip = request.get("clip_skip")
    recorder.wrap(pipe)
    if request.get("tiles"):
        pipe.vae.enable_tiling()
    if request.get("slicing"):
        pipe.vae.enable_slicing()
    images = request.get("images", 1)
    seeds = request.get("seeds", [7])
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    arguments = dict(prompt=request.get("prompt", PROMPT), negative_prompt=request.get("negative"), num_images_per_prompt=images,
                     num_inference_steps=request.get("steps", 4), guidance_scale=request.get("guidance", 7.5), eta=request.get("eta", 0.0),
                     generator=generators[0] if len(generators) == 1 else generators, clip_skip=request.get("clip_skip"), output_type="np")
    if "rescale" in request:
        arguments["guidance_rescale"] = request["rescale"]
    if "init" in request:
        arguments.update(image=picture(*request["init"]), strength=request["strength"])
        recorder.add("init", np.asarray(arguments["image"]))
    if "mask" in request:
        arguments["mask_image"] = hole(*request["mask"])
        recorder.add("mask", np.asarray(arguments["mask_image"]))
    if "width" in request:
        arguments.update(width=request["width"], height=request["height"])
    steps = []

    def on_step(pipe, index, timestep, values):
        steps.append(values["latents"].clone())
        return values

    with torch.no_grad():
        images = pipe(**arguments, callback_on_step_end=on_step).images
    for index, latents in enumerate(steps):
        recorder.add(f"latents.{index}", latents)
    recorder.add("images", (images * 255).round().astype(np.uint8))
    spread = (images.max() - images.min())
    print(f"{name:15} {len(steps)} steps, picture {images.shape}, spread {spread:.2f}, latents {steps[-1].std():.2f}", flush=True)
    return {**{k: v for k, v in request.items() if k not in ("init", "mask", "scheduler", "config")}, "name": name, "scheduler_config": config,
            "prompt": arguments["prompt"], "seeds": seeds, "steps": arguments["num_inference_steps"]}


def main():
    torch.set_num_threads(1)
    diffusers.utils.logging.set_verbosity_error()
    make_model()
    recorder = Recorder()
    runs = [run(recorder, name, request) for name, request in RUNS.items()]
    (HERE / "runs.json").write_text(json.dumps(runs, indent=1) + "\n")
    np.savez_compressed(HERE / "runs.npz", **recorder.arrays)
    print({p.name: p.stat().st_size for p in HERE.rglob("*") if p.is_file() and p.stat().st_size > 20000})


main()
