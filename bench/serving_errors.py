"""How far one engine's logits of 64 tokens lie from those of transformers in fp32; prints one JSON object.

python bench/serving_errors.py tenon|llama|openvino|onnxruntime PRECISION MODELS_DIR

MODELS_DIR/reference.npz has ids [1, 64] and logits [1, 64, vocabulary]: see bench/README.md.
"""

import argparse
import json
import pathlib
import subprocess

import numpy as np

from peer_workers import error_against


def llama(models, precision, ids):
    import llama_cpp

    model = llama_cpp.Llama(str(models / f"{precision}.gguf"), n_ctx=len(ids), n_threads=2, logits_all=True,
                            verbose=False)
    model.eval([int(i) for i in ids])
    return np.array(model.scores[:len(ids)])


def openvino(models, precision, ids):
    import openvino as ov

    model = ov.Core().compile_model(str(models / f"ov-{precision}" / "openvino_model.xml"), "CPU",
                                    {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": 2})
    count = len(ids)
    given = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, count), np.int64),
             "position_ids": np.arange(count, dtype=np.int64)[None], "beam_idx": np.zeros(1, np.int32)}
    names = {name for port in model.inputs for name in port.names}
    return model.create_infer_request().infer({k: v for k, v in given.items() if k in names})[0][0].astype(np.float32)


def onnxruntime(models, precision, ids):
    import onnxruntime as ort

    decoder = json.loads((models / f"og-{precision}" / "genai_config.json").read_text())["model"]["decoder"]
    session = ort.InferenceSession(str(models / f"og-{precision}" / "model.onnx"), providers=["CPUExecutionProvider"])
    count, given = len(ids), {}
    for value in session.get_inputs():
        if value.name == "input_ids":
            given[value.name] = np.array([ids], np.int64)
        elif value.name == "attention_mask":
            given[value.name] = np.ones((1, count), np.int64)
        elif value.name == "position_ids":
            given[value.name] = np.arange(count, dtype=np.int64)[None]
        else:
            given[value.name] = np.zeros([1, decoder["num_key_value_heads"], 0, decoder["head_size"]], np.float32)
    return session.run(["logits"], given)[0][0].astype(np.float32)


def tenon(program, models, precision):
    done = subprocess.run([program, "verify", str(models / f"{precision}.tenon"), "--reference",
                           str(models / "reference.npz"), "--json"], capture_output=True, text=True)
    metrics = json.loads(done.stdout)["metrics"]
    return {"max_abs": metrics["max_abs"], "mean_kl": metrics["mean_kl"], "top1": metrics["top1_agreement"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["tenon", "llama", "openvino", "onnxruntime"])
    parser.add_argument("precision")
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--tenon", default="tenon")
    args = parser.parse_args()
    if args.engine == "tenon":
        print(json.dumps(tenon(args.tenon, args.models, args.precision)))
        return
    known = np.load(args.models / "reference.npz")
    logits = {"llama": llama, "openvino": openvino, "onnxruntime": onnxruntime}[args.engine](
        args.models, args.precision, known["ids"][0].tolist())
    print(json.dumps(error_against(known["logits"][0], logits)))


if __name__ == "__main__":
    main()
