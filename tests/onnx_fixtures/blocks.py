"""A plain causal transformer block without a cache, as people exported them in the years of opset 9 to 13."""
import numpy as np
import torch


class Block(torch.nn.Module):
    def __init__(self, vocab=64, hidden=32, heads=4, positions=32):
        super().__init__()
        self.heads = heads
        self.tokens = torch.nn.Embedding(vocab, hidden)
        self.positions = torch.nn.Embedding(positions, hidden)
        self.norm_1, self.norm_2 = torch.nn.LayerNorm(hidden), torch.nn.LayerNorm(hidden)
        self.qkv, self.out = torch.nn.Linear(hidden, 3 * hidden), torch.nn.Linear(hidden, hidden)
        self.up, self.down = torch.nn.Linear(hidden, 2 * hidden), torch.nn.Linear(2 * hidden, hidden)

    def attention(self, x, position):
        batch, length, hidden = x.shape
        q, k, v = (part.view(batch, length, self.heads, hidden // self.heads).transpose(1, 2)
                   for part in self.qkv(x).split(hidden, -1))
        scores = q @ k.transpose(2, 3) / (hidden // self.heads) ** 0.5
        seen = (position[:, None] >= position[None, :]).to(x.dtype)  # opset 9 has no Slice at computed ends
        scores = scores * seen - 1e4 * (1 - seen)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, hidden))

    def forward(self, ids):
        position = torch.arange(ids.shape[1], device=ids.device)
        x = self.tokens(ids) + self.positions(position)
        x = x + self.attention(self.norm_1(x), position)
        x = x + self.down(torch.nn.functional.gelu(self.up(self.norm_2(x))))
        return x @ self.tokens.weight.T


def export(folder, opset):
    """model.onnx, and io.npz with `ids` [2,9] and `logits` [2,9,64]."""
    torch.manual_seed(opset)
    model = Block().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ids = torch.randint(0, 64, (2, 9))
    torch.onnx.export(model, (ids[:1, :5],), folder / "model.onnx", dynamo=False, opset_version=opset, input_names=["ids"],
                      output_names=["logits"], dynamic_axes=dict.fromkeys(("ids", "logits"), {0: "batch", 1: "length"}))
    with torch.no_grad():
        np.savez(folder / "io.npz", ids=ids.numpy(), logits=model(ids).numpy())
