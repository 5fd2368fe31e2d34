"""Runs a fixture with ONNX Runtime on the inputs recorded for its checkpoint: the greatest difference from transformers."""
import numpy as np
import onnxruntime


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feed(model, ids, mask, positions, cache=None):
    """Fills what the model asks for; a missing cache is one of length 0 and use_cache_branch says which it is."""
    values = {}
    for value in model.get_inputs():
        if value.name == "input_ids":
            values[value.name] = ids
        elif value.name == "attention_mask":
            values[value.name] = mask
        elif value.name == "position_ids":
            values[value.name] = positions
        elif value.name == "use_cache_branch":
            values[value.name] = np.array([cache is not None])
        elif cache is not None:
            values[value.name] = cache[value.name.replace("past_key_values", "present")]
        else:
            values[value.name] = np.zeros((len(ids), value.shape[1], 0, value.shape[3]), np.float32)
    names = [value.name for value in model.get_outputs()]
    return dict(zip(names, model.run(names, values)))


def plain_logits(model, ids):
    positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape).copy()
    return feed(model, ids, np.ones_like(ids), positions)["logits"]


def plain(model, expected):
    return np.abs(plain_logits(model, expected["ids"]) - expected["logits"]).max()


def left(model, expected):
    mask = expected["left_mask"]
    got = feed(model, expected["left_ids"], mask, expected["left_position_ids"])["logits"]
    return np.abs(got - expected["left_logits"])[mask == 1].max()


def decode(first, second, expected):
    ids, wanted = expected["decode_ids"], expected["decode_step_logits"]
    start = ids.shape[1] - len(wanted) + 1
    out = feed(first, ids[:, :start], np.ones((1, start), np.int64), np.arange(start)[None])
    worst = np.abs(out["logits"][0, -1] - wanted[0]).max()
    for at in range(start, ids.shape[1]):
        out = feed(second, ids[:, at:at + 1], np.ones((1, at + 1), np.int64), np.array([[at]]), out)
        worst = max(worst, np.abs(out["logits"][0, -1] - wanted[at - start + 1]).max())
    return worst


def errors(folder, expected):
    paths = sorted(folder.glob("*.onnx"), key=lambda path: "with_past" in path.name)
    first, last = session(paths[0]), session(paths[-1])
    result = {"plain": plain(first, expected)}
    if any(value.name == "position_ids" for value in first.get_inputs()):
        result["left"] = left(first, expected)
    if any(value.name.startswith("present") for value in first.get_outputs()):
        result["decode"] = decode(first, last, expected)
    return {name: float(f"{value:.1e}") for name, value in result.items()}
