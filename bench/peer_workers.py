"""One turn of a peer in a process of its own: loads a model, times the cases, prints one JSON object.

Started by peers.py. Every engine gets the same ids, its cache handed back to it from step to step, and only
forward passes are timed: no sampling, no text.
"""

import argparse
import json
import os
import pathlib
import time

import numpy as np

PREFILL_ROUNDS = 2


class Transformers:
    def __init__(self, folder, precision, threads):
        import torch
        import transformers

        torch.set_num_threads(threads)
        self.torch = torch
        self.versions = {"transformers": transformers.__version__, "torch": torch.__version__}
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
        self.vocabulary = self.model.config.vocab_size

    def forward(self, ids, cache, keep):
        """Logits of the last `keep` positions (0: of all), and what the next step needs."""
        with self.torch.inference_mode():
            out = self.model(input_ids=self.torch.from_numpy(ids), past_key_values=cache, use_cache=True,
                             logits_to_keep=keep)
        return out.logits, out.past_key_values

    def numpy(self, logits):
        return logits.float().numpy()


class OnnxRuntime:
    """The exported graph through IO binding, so that present.* become past_key_values.* without a copy."""

    def __init__(self, folder, precision, threads):
        import onnxruntime as ort

        self.ort = ort
        self.versions = {"onnxruntime": ort.__version__}
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = ort.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self.past = [i for i in self.session.get_inputs() if i.name.startswith("past_key_values.")]
        self.names = [o.name for o in self.session.get_outputs()]
        self.vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]

    def forward(self, ids, cache, keep):
        batch, tokens = ids.shape
        binding = self.session.io_binding()
        if cache is None:
            shapes = [[batch if isinstance(d, str) and "batch" in d else 0 if isinstance(d, str) else d
                       for d in i.shape] for i in self.past]
            cache = [self.ort.OrtValue.ortvalue_from_numpy(np.zeros(s, np.float32)) for s in shapes]
        before = cache[0].shape()[2]
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_cpu_input("attention_mask", np.ones((batch, before + tokens), np.int64))
        positions = np.arange(before, before + tokens, dtype=np.int64)
        binding.bind_cpu_input("position_ids", np.tile(positions, (batch, 1)))
        for value, i in zip(cache, self.past):
            binding.bind_ortvalue_input(i.name, value)
        for name in self.names:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        out = dict(zip(self.names, binding.get_outputs()))
        return out["logits"], [out[i.name.replace("past_key_values", "present")] for i in self.past]

    def numpy(self, logits):
        return logits.numpy()


def time_case(engine, case, random):
    def ids(batch, tokens):
        return random.integers(engine.vocabulary, size=(batch, tokens), dtype=np.int64)

    batch, prompt, steps = case["batch"], case["prompt"], case["steps"]
    rounds, prefill = (1 if steps else 1 + PREFILL_ROUNDS), []
    for _ in range(rounds):
        tokens = ids(batch, prompt)
        start = time.perf_counter()
        _, cache = engine.forward(tokens, None, 1)
        prefill.append(time.perf_counter() - start)
    if not steps:
        return prefill[1:]  # the first warms up
    seconds = []
    for _ in range(steps + 2):
        tokens = ids(batch, 1)
        start = time.perf_counter()
        _, cache = engine.forward(tokens, cache, 1)
        seconds.append(time.perf_counter() - start)
    return seconds[2:]


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def error_against(reference, logits):
    p, q = (log_softmax(x.astype(np.float64)) for x in (reference, logits))
    return {"max_abs": float(np.abs(reference - logits).max()),
            "mean_kl": float((np.exp(p) * (p - q)).sum(-1).mean()),
            "top1": float((reference.argmax(-1) == logits.argmax(-1)).mean())}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["transformers", "onnxruntime"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cases", type=json.loads, default=[])
    parser.add_argument("--reference", type=pathlib.Path, help=".npz with ids and logits to compare with")
    parser.add_argument("--record", action="store_true", help="write --reference in place of reading it")
    args = parser.parse_args()
    start = time.perf_counter()
    engine = {"transformers": Transformers, "onnxruntime": OnnxRuntime}[args.engine](
        args.folder, args.precision, args.threads)
    result = {"load_s": time.perf_counter() - start, "versions": engine.versions, "cases": {}}
    random = np.random.default_rng(1)
    for case in args.cases:
        result["cases"][case["name"]] = time_case(engine, case, random)
    if args.record:
        ids = random.integers(engine.vocabulary, size=(1, 64), dtype=np.int64)
        np.savez(args.reference, ids=ids, logits=engine.numpy(engine.forward(ids, None, 0)[0]))
    elif args.reference:
        known = np.load(args.reference)
        logits = engine.numpy(engine.forward(known["ids"], None, 0)[0])
        result["error"] = error_against(known["logits"], logits)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
