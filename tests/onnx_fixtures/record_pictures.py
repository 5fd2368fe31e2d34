"""Writes tiny Stable Diffusion models as ONNX with the exporters people use: python record_pictures.py

Each folder holds one model of random weights, exported as a whole, and io.npz: PART.RUN.NAME for every input and output, two runs
of different sizes for each part; latent_sample is the mean of what is drawn. Needs what record.py needs, and diffusers==0.39.0.
"""
import collections
import json
import shutil
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import onnx
import onnxruntime
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

HERE = Path(__file__).resolve().parent
TOKENIZER = HERE.parent / "models_images/pipeline/tokenizer"
UNET = dict(sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(4, 8), norm_num_groups=2,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=12, attention_head_dim=2)
MODELS = {  # what tells the generations apart
    "sd1": (dict(UNET), "quick_gelu"),
    "sd2": (dict(UNET, attention_head_dim=(2, 4), use_linear_projection=True, upcast_attention=True,
                 up_block_types=("UpBlock2D",) * 2), "gelu"),
}


def random(model, generator):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 1 / np.sqrt(parameter[0].numel()) if parameter.dim() > 1 else 0.2
            offset = 1 if parameter.dim() == 1 and "norm" in name and name.endswith("weight") else 0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread + offset)
    return model.eval()


def pipeline(kind):
    generator = torch.Generator().manual_seed(len(kind) + ord(kind[-1]))
    unet, activation = MODELS[kind]
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=40, hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2, hidden_act=activation,
        max_position_embeddings=77, bos_token_id=38, eos_token_id=39, pad_token_id=39))
    vae = diffusers.AutoencoderKL(
        block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4, layers_per_block=1, norm_num_groups=2, sample_size=16)
    models = [random(model, generator) for model in (vae, text, diffusers.UNet2DConditionModel(**unet))]
    return diffusers.StableDiffusionPipeline(
        models[0], models[1], CLIPTokenizer.from_pretrained(TOKENIZER), models[2], diffusers.PNDMScheduler(), None, None,
        requires_safety_checker=False)


@torch.no_grad()
def runs(pipe, ids_type, timestep):
    """Inputs and outputs of every network at two sizes; the encoder's output is the distribution."""
    generator = torch.Generator().manual_seed(3)
    normal = lambda *shape: torch.randn(shape, generator=generator)
    found = {}
    for run, (batch, words, height, width) in enumerate([(2, 7, 8, 8), (1, 16, 4, 12)]):
        ids = torch.randint(3, 39, (batch, words), generator=generator)
        text = pipe.text_encoder(ids)
        sample, states = normal(batch, 4, height, width), normal(batch, words, 12)
        picture, latents = normal(batch, 3, 2 * height, 2 * width), normal(batch, 4, height, width)
        time = 431 - run
        made = {
            "text_encoder": {"input_ids": ids.to(ids_type), "last_hidden_state": text[0], "pooler_output": text[1]},
            "unet": {"sample": sample, "timestep": timestep(time, batch), "encoder_hidden_states": states,
                     "out_sample": pipe.unet(sample, time, states)[0]},
            "vae_encoder": {"sample": picture, "latent_parameters": pipe.vae.encode(picture).latent_dist.parameters},
            "vae_decoder": {"latent_sample": latents, "sample": pipe.vae.decode(latents)[0]},
        }
        for part, values in made.items():
            found.update({f"{part}.{run}.{name}": np.asarray(value) for name, value in values.items()})
    return found


def optimum(pipe, folder, opset):
    from optimum.exporters.onnx import main_export
    with tempfile.TemporaryDirectory() as source:
        pipe.save_pretrained(source)
        main_export(source, folder, task="text-to-image", opset=opset, do_validation=False)
    found = runs(pipe, torch.int64, lambda time, batch: torch.tensor(float(time)))
    if pipe.unet.config.use_linear_projection:  # the autoencoders of both generations are the same
        for part in ("vae_encoder", "vae_decoder"):
            shutil.rmtree(folder / part)
            found = {name: value for name, value in found.items() if not name.startswith(part)}
    return found


class Call(torch.nn.Module):
    def __init__(self, model, call):
        super().__init__()
        self.model, self.call = model, call

    def forward(self, *args):
        return self.call(self.model, *args)


def script(pipe, folder, opset):
    """The four exports of diffusers' convert_stable_diffusion_checkpoint_to_onnx.py, by their descriptions."""
    picture = {0: "batch", 1: "channels", 2: "height", 3: "width"}
    sequence = {0: "batch", 1: "sequence"}

    def export(part, model, call, args, names, outputs, axes):
        path = folder / part / "model.onnx"
        path.parent.mkdir(parents=True)
        torch.onnx.export(Call(model, call).eval(), args, str(path), input_names=names, output_names=outputs, dynamic_axes=axes,
                          do_constant_folding=True, opset_version=opset, dynamo=False)

    export("text_encoder", pipe.text_encoder, lambda m, ids: tuple(m(ids, return_dict=False)),
           (torch.randint(3, 39, (1, 16)).to(torch.int32),), ["input_ids"], ["last_hidden_state", "pooler_output"],
           {"input_ids": sequence})
    export("unet", pipe.unet, lambda m, x, t, s: m(x, t, s, return_dict=False)[0],
           (torch.randn(2, 4, 8, 8), torch.tensor([0.0, 1.0]), torch.randn(2, 16, 12)), ["sample", "timestep", "encoder_hidden_states"],
           ["out_sample"], {"sample": picture, "timestep": {0: "batch"}, "encoder_hidden_states": sequence})
    weights = onnx.load(folder / "unet/model.onnx")
    onnx.save_model(weights, folder / "unet/model.onnx", save_as_external_data=True, all_tensors_to_one_file=True,
                    location="weights.pb", convert_attribute=False)
    export("vae_encoder", pipe.vae, lambda m, x: m.encode(x, return_dict=False)[0].sample(), (torch.randn(1, 3, 16, 16),), ["sample"],
           ["latent_sample"], {"sample": picture})
    export("vae_decoder", pipe.vae, lambda m, z: m.decode(z, return_dict=False)[0], (torch.randn(1, 4, 8, 8),), ["latent_sample"],
           ["sample"], {"latent_sample": picture})
    pipe.scheduler.save_pretrained(folder / "scheduler")
    pipe.tokenizer.save_pretrained(folder / "tokenizer")
    index = {"_class_name": "OnnxStableDiffusionPipeline", "_diffusers_version": diffusers.__version__,
             "scheduler": ["diffusers", "PNDMScheduler"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    index.update({part: ["diffusers", "OnnxRuntimeModel"] for part in ("text_encoder", "unet", "vae_encoder", "vae_decoder")})
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    found = runs(pipe, torch.int32, lambda time, batch: torch.full((batch,), float(time)))
    for name in [name for name in found if name.endswith("latent_parameters")]:  # noise is drawn around this
        found[name.replace("latent_parameters", "latent_sample")] = found.pop(name)[:, :4]
    return found


FIXTURES = {"optimum-sd1-14": ("sd1", optimum, 14), "optimum-sd2-18": ("sd2", optimum, 18), "script-sd2-14": ("sd2", script, 14)}


def check(folder, found):
    """ONNX Runtime's greatest relative L2 difference, and what the files are made of."""
    report = {}
    for part in sorted({name.split(".")[0] for name in found}):
        model = onnx.load(folder / part / "model.onnx", load_external_data=False)
        session = onnxruntime.InferenceSession(str(folder / part / "model.onnx"), providers=["CPUExecutionProvider"])
        worst = 0.0
        for run in "01":
            feeds = {value.name: found[f"{part}.{run}.{value.name}"] for value in session.get_inputs()}
            for value, made in zip(session.get_outputs(), session.run(None, feeds)):
                wanted = found[f"{part}.{run}.{value.name}"]
                if value.name != "latent_sample":  # drawn at random
                    worst = max(worst, float(np.linalg.norm(made - wanted) / np.linalg.norm(wanted)))
        report[part] = {"onnxruntime_relative_l2": float(f"{worst:.2g}"), "ops": dict(collections.Counter(
            f"{node.domain}.{node.op_type}".lstrip(".") for node in model.graph.node).most_common())}
    return report


def main():
    index = {}
    for name, (kind, exporter, opset) in FIXTURES.items():
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        found = exporter(pipeline(kind), folder, opset)
        for path in folder.rglob("*.json"):  # exporters note where the model lay
            fields = json.loads(path.read_text())
            if fields.pop("_name_or_path", None) is not None:
                path.write_text(json.dumps(fields, indent=2) + "\n")
        np.savez_compressed(folder / "io.npz", **found)
        index[name] = {"opset": opset, "bytes": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()),
                       "parts": check(folder, found)}
        print(name, {part: row["onnxruntime_relative_l2"] for part, row in index[name]["parts"].items()}, index[name]["bytes"])
    rows = ",\n".join(f'"{name}": {json.dumps(row)}' for name, row in index.items())
    (HERE / "pictures.json").write_text("{\n" + rows + "\n}\n")


if __name__ == "__main__":
    main()
