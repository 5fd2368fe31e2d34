"""Writes exports/: the attention of pictures as torch's exporter writes it, with torch's own results.

Blocks of diffusers and transformers with random weights, for fused (sdpa) and for spelled out attention, at
the opsets that diffusers' script (14) and optimum (18) use. Needs torch, diffusers and transformers.
"""
import pathlib
import warnings

import numpy as np
import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0
from transformers import CLIPTextConfig, CLIPTextModel

FOLDER = pathlib.Path(__file__).parent / "exports"


class Transformer(torch.nn.Module):
    def __init__(self, processor):
        super().__init__()
        self.block = BasicTransformerBlock(12, 2, 6, cross_attention_dim=10, attention_bias=False)
        for attention in (self.block.attn1, self.block.attn2):
            attention.set_processor(processor)

    def forward(self, hidden, context):
        return self.block(hidden, encoder_hidden_states=context)


class Pixels(torch.nn.Module):
    def __init__(self, processor):
        super().__init__()
        self.attention = Attention(8, heads=1, dim_head=8, bias=True, norm_num_groups=2, residual_connection=True,
                                   upcast_softmax=True, _from_deprecated_attn_block=True, processor=processor)

    def forward(self, hidden):
        return self.attention(hidden)


class Clip(torch.nn.Module):
    def __init__(self, form):
        super().__init__()
        config = CLIPTextConfig(vocab_size=20, hidden_size=12, intermediate_size=16, num_hidden_layers=1,
                                num_attention_heads=2, max_position_embeddings=11)
        self.model = CLIPTextModel._from_config(config, attn_implementation=form)

    def forward(self, input_ids):
        return self.model(input_ids, return_dict=False)[0]


def record(name, module, inputs, axes):
    module.eval()
    with torch.no_grad():
        output = module(*inputs.values())
    for opset in (14, 18):
        torch.onnx.export(module, tuple(inputs.values()), FOLDER / f"{name}-{opset}.onnx", opset_version=opset,
                          input_names=list(inputs), output_names=["output"], dynamic_axes=axes, dynamo=False)
    np.savez(FOLDER / f"{name}.npz", output=output.numpy(), **{key: x.numpy() for key, x in inputs.items()})


def main():
    warnings.filterwarnings("ignore")
    torch.manual_seed(5)
    FOLDER.mkdir(exist_ok=True)
    for form, processor in (("sdpa", AttnProcessor2_0), ("plain", AttnProcessor)):
        record(f"transformer-{form}", Transformer(processor()),
               {"hidden": torch.randn(2, 9, 12), "context": torch.randn(2, 5, 10)},
               {"hidden": {0: "batch", 1: "tokens"}, "context": {0: "batch", 1: "words"}})
        record(f"pixels-{form}", Pixels(processor()), {"hidden": torch.randn(2, 8, 3, 4)},
               {"hidden": {0: "batch", 2: "height", 3: "width"}})
    for form in ("sdpa", "eager"):
        record(f"clip-{form}", Clip(form), {"input_ids": torch.randint(0, 20, (2, 7))},
               {"input_ids": {0: "batch", 1: "tokens"}})


if __name__ == "__main__":
    main()
