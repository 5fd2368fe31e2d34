"""One function an exporter: each writes the ONNX files of a checkpoint into a folder, as the tool's own users would."""
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import torch
from onnx.external_data_helper import set_external_data
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import LlamaOnnxConfig
from optimum.onnx import merge_decoders
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicCache

BIN = Path(sys.executable).parent


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def load(checkpoint, attention):
    return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation=attention).eval()


def optimum(checkpoint, folder, opset, task="text-generation-with-past", *options):
    run(BIN / "optimum-cli", "export", "onnx", "-m", checkpoint, "--task", task, "--opset", opset, *options, folder)


def optimum_optimized(checkpoint, folder, opset, level):
    """optimum-cli onnxruntime optimize: com.microsoft operators."""
    optimum(checkpoint, folder / "plain", opset)
    run(BIN / "optimum-cli", "onnxruntime", "optimize", "--onnx_model", folder / "plain", "-o", folder, f"-{level}")
    shutil.rmtree(folder / "plain")


def optimum_int8(checkpoint, folder, opset):
    """optimum-cli onnxruntime quantize: dynamic int8, MatMulInteger."""
    optimum(checkpoint, folder / "plain", opset)
    run(BIN / "optimum-cli", "onnxruntime", "quantize", "--onnx_model", folder / "plain", "-o", folder, "--avx512_vnni")
    shutil.rmtree(folder / "plain")


def optimum_external(checkpoint, folder, opset):
    """The same graph with each large tensor in a file of its own, as torch.onnx.export leaves models above 2 GB."""
    optimum(checkpoint, folder, opset)
    model = onnx.load(folder / "model.onnx")
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) >= 1024:  # the location alone: no offset and no length
            set_external_data(tensor, tensor.name.replace("::", "__"))
    onnx.save(model, folder / "model.onnx")


def two_files(checkpoint, folder, opset):
    """decoder_model.onnx and decoder_with_past_model.onnx, what --no-post-process left behind in 2023."""
    model = load(checkpoint, "sdpa")
    for name, past in (("decoder_model", False), ("decoder_with_past_model", True)):
        config = LlamaOnnxConfig(model.config, task="text-generation", use_past=True, use_past_in_inputs=past)
        export(model, config, folder / f"{name}.onnx", opset=opset)
    for name in ("config.json", "generation_config.json"):
        shutil.copy(Path(checkpoint) / name, folder)


def merged(checkpoint, folder, opset):
    """decoder_model_merged.onnx: both in the branches of one If, chosen by use_cache_branch."""
    two_files(checkpoint, folder, opset)
    merge_decoders(folder / "decoder_model.onnx", folder / "decoder_with_past_model.onnx",
                   save_path=folder / "decoder_model_merged.onnx")
    (folder / "decoder_model.onnx").unlink()
    (folder / "decoder_with_past_model.onnx").unlink()


class WithCache(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, past_key_values):
        out = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=True,
                         past_key_values=DynamicCache.from_legacy_cache(past_key_values))
        return out.logits, *(tensor for layer in out.past_key_values.to_legacy_cache() for tensor in layer)


def dynamo(checkpoint, folder, opset, attention):
    """torch.onnx.export(dynamo=True). Stack traces are dropped from the nodes' metadata: they are half of the file."""
    model = load(checkpoint, attention)
    config, batch, length, past = model.config, 2, 3, 5
    heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    size = config.hidden_size // config.num_attention_heads
    cache = tuple((torch.randn(batch, heads, past, size), torch.randn(batch, heads, past, size))
                  for _ in range(config.num_hidden_layers))
    inputs = (torch.randint(3, 60, (batch, length)), torch.ones(batch, past + length, dtype=torch.long),
              torch.arange(past, past + length).expand(batch, length).clone(), cache)
    any_size = torch.export.Dim.DYNAMIC
    pair, side = {0: any_size, 1: any_size}, {0: any_size, 2: any_size}
    kinds = [f"{layer}.{kind}" for layer in range(config.num_hidden_layers) for kind in ("key", "value")]
    program = torch.onnx.export(
        WithCache(model).eval(), inputs, dynamo=True, opset_version=opset, external_data=False,
        dynamic_shapes=(pair, pair, pair, tuple((side, side) for _ in cache)),
        input_names=["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{kind}" for kind in kinds)],
        output_names=["logits", *(f"present.{kind}" for kind in kinds)])
    proto = program.model_proto
    for node in proto.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key in ("namespace", "pkg.torch.onnx.name_scopes")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(proto, folder / "model.onnx")


def genai(checkpoint, folder, precision):
    """onnxruntime-genai's builder: GroupQueryAttention, and MatMulNBits for int4. It wants a tokenizer beside the model."""
    source = folder / "source"
    shutil.copytree(checkpoint, source)
    for path in (Path(checkpoint).parents[2] / "demo/neox-instruct").glob("*token*"):
        shutil.copy(path, source)
    run(sys.executable, "-m", "onnxruntime_genai.models.builder", "-m", source, "-i", source, "-o", folder, "-p", precision,
        "-e", "cpu", "-c", folder / "cache")
    for name in ("source", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in (*folder.glob("*token*"), *folder.glob("chat_template*")):
        path.unlink()
