"""Writes the ONNX files of this folder from ../models with the exporters people use: python record.py [NAME ...]

Needs: pip install optimum-onnx==0.1.0 transformers==4.57.6 torch onnx onnxruntime onnxscript onnxruntime-genai==0.11.4
"""
import collections
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx

import blocks
import check
import exporters as by

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"

FIXTURES = {
    "optimum-llama-18": ("llama-gqa", by.optimum, (18,)),
    "optimum-llama-14": ("llama-gqa", by.optimum, (14,)),
    "optimum-llama-no-past-18": ("llama-gqa", by.optimum, (18, "text-generation")),
    "optimum-llama-external-18": ("llama-gqa", by.optimum_external, (18,)),
    "optimum-llama-two-files-14": ("llama-gqa", by.two_files, (14,)),
    "optimum-llama-merged-14": ("llama-gqa", by.merged, (14,)),
    "optimum-llama-O2": ("llama-gqa", by.optimum_optimized, (18, "O2")),
    "optimum-llama-int8": ("llama-gqa", by.optimum_int8, (18,)),
    "optimum-neox-18": ("neox-parallel", by.optimum, (18,)),
    "optimum-neox-14": ("neox-parallel", by.optimum, (14,)),
    "optimum-neox-O2": ("neox-parallel", by.optimum_optimized, (18, "O2")),
    "dynamo-llama-18": ("llama-gqa", by.dynamo, (18, "eager")),
    "dynamo-llama-23": ("llama-gqa", by.dynamo, (23, "sdpa")),
    "dynamo-neox-18": ("neox-parallel", by.dynamo, (18, "sdpa")),
    "genai-llama-fp32": ("llama-theta-5e5", by.genai, ("fp32",)),
    "genai-llama-int4": ("llama-theta-5e5", by.genai, ("int4",)),
    "block-9": (None, blocks.export, (9,)),
    "block-11": (None, blocks.export, (11,)),
    "block-13": (None, blocks.export, (13,)),
}


def nodes_of(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else attribute.graphs):
                yield from nodes_of(inner)


def describe(path):
    model = onnx.load(path, load_external_data=False)
    counts = collections.Counter(f"{node.domain}.{node.op_type}".lstrip(".") for node in nodes_of(model.graph))
    used = {node.domain for node in nodes_of(model.graph)}
    return {"ir": model.ir_version, "producer": f"{model.producer_name} {model.producer_version}".strip(),
            "opset": {entry.domain: entry.version for entry in model.opset_import if entry.domain in used},
            "ops": dict(counts.most_common())}


def make(name):
    source, exporter, arguments = FIXTURES[name]
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if source is None:
        exporter(folder, *arguments)
        recorded = np.load(folder / "io.npz")
        got, = check.session(folder / "model.onnx").run(None, {"ids": recorded["ids"]})
        errors = {"plain": float(f"{np.abs(got - recorded['logits']).max():.1e}")}
    else:
        exporter(MODELS / source, folder, *arguments)
        expected = np.load(MODELS / source / "expected.npz")
        errors = check.errors(folder, expected)
        if errors["plain"] > 1e-4:  # quantised: the file's own answer, as ONNX Runtime gives it
            model = check.session(next(folder.glob("*.onnx")))
            np.savez(folder / "onnxruntime.npz", ids=expected["ids"], logits=check.plain_logits(model, expected["ids"]))
    for path in folder.iterdir():
        path.chmod(0o644)
    files = sorted(path.name for path in folder.glob("*.onnx"))
    return {"expected": f"../models/{source}/expected.npz" if source else f"{name}/io.npz",
            "bytes": sum(path.stat().st_size for path in folder.iterdir()), "onnxruntime_max_abs": errors,
            "models": {file: describe(folder / file) for file in files}}


def main(names):
    path = HERE / "index.json"
    index = json.loads(path.read_text()) if path.exists() else {}
    for name in names or FIXTURES:
        index[name] = make(name)
        print(name, index[name]["bytes"], index[name]["onnxruntime_max_abs"], flush=True)
        rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(index[key])}" for key in FIXTURES if key in index)
        path.write_text("{\n" + rows + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
