"""Measures tenon beside transformers and ONNX Runtime, all taking turns, and writes a table.

python bench/peers.py --tenon build/release/bin/tenon --model pythia-410m --work-dir /tmp/peers

Random weights at the true dimensions of a published model stand for the real ones. Each turn is a process of
its own; rounds go A B C A B C, so that a slow minute of the machine meets all alike. Before a turn the script
waits for other programs to leave the processors; what they take during a turn is recorded with it.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")


def cases_of(args):
    return [dict(name="prefill", batch=1, prompt=512, steps=0),
            dict(name="decode1", batch=1, prompt=128, steps=args.new_tokens),
            dict(name="decode8", batch=8, prompt=128, steps=args.new_tokens)]


class Watch:
    """Processors that other programs, and the host, took while it was open."""

    def __enter__(self):
        self.start = self.read()
        return self

    def __exit__(self, *_):
        busy, stolen, own, now = (b - a for a, b in zip(self.start, self.read()))
        self.others = max(0.0, busy - own + stolen) / max(now, 1e-9)

    @staticmethod
    def read():
        user, nice, system, _, _, irq, soft, steal = map(
            int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        own = os.times()
        own_s = own.user + own.system + own.children_user + own.children_system
        return (user + nice + system + irq + soft) / TICKS, steal / TICKS, own_s, time.monotonic()


def wait_for_quiet(limit_s):
    """True when others took less than a twentieth of a processor for a second."""
    end = time.monotonic() + limit_s
    while True:
        with Watch() as watch:
            time.sleep(1)
        if watch.others < 0.05:
            return True
        if time.monotonic() > end:
            return False


def output_of(command, may_fail=False):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode and not (may_fail and done.stdout.strip()):
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


class Tenon:
    def __init__(self, precision, args, files):
        self.name, self.precision, self.args, self.files = f"tenon {precision}", precision, args, files
        self.bundle = files / f"{precision}.tenon"

    def prepare(self):
        if not self.bundle.exists():
            output_of([self.args.tenon, "build", self.files / "checkpoint", "-o", self.bundle, "--precision",
                       self.precision, "--no-verify"])

    def turn(self, cases):
        result = {"cases": {}, "limits": []}
        for case in cases:
            told = json.loads(output_of(
                [self.args.tenon, "bench", self.bundle, "--json", "--threads", self.args.threads, "--prompt-tokens",
                 case["prompt"], "--new-tokens", max(case["steps"], 1), "--batch", case["batch"], "--repeat",
                 1 if case["steps"] else 2]))
            subject = told["subjects"][0]
            seconds = subject["decode_step_s" if case["steps"] else "prefill_s"]
            result["cases"][case["name"]] = {"median": seconds["median"], "best": seconds["min"]}
            result["limits"].append(told["machine"])
            result["load_s"] = subject["load_s"]
            result["bytes"] = subject["decode_bytes_per_step"]
        return result

    def error(self, reference):
        told = json.loads(output_of([self.args.tenon, "verify", self.bundle, "--reference", reference, "--json",
                                     "--threads", self.args.threads], may_fail=True))
        metrics = told["metrics"]
        return {"max_abs": metrics["max_abs"], "mean_kl": metrics["mean_kl"], "top1": metrics["top1_agreement"]}


class Peer:
    def __init__(self, engine, precision, args, files):
        self.name, self.engine, self.precision = f"{engine} {precision}", engine, precision
        self.args, self.files = args, files
        self.folder = files / ("onnx" if engine == "onnxruntime" else "checkpoint")

    def prepare(self):
        if not (self.folder / "config.json").exists():
            output_of([self.args.tenon, "export", self.files / "checkpoint", self.folder, "--opset", 17])

    def worker(self, *extra):
        return json.loads(output_of([sys.executable, HERE / "peer_workers.py", self.engine, self.folder, "--precision",
                                     self.precision, "--threads", self.args.threads, *extra]).splitlines()[-1])

    def turn(self, cases):
        result = self.worker("--cases", json.dumps(cases))
        result["cases"] = {name: {"median": statistics.median(seconds), "best": min(seconds)}
                           for name, seconds in result["cases"].items()}
        return result

    def error(self, reference):
        return self.worker("--reference", reference)["error"]

    def record(self, reference):
        self.worker("--reference", reference, "--record")


def linear_parameters(folder):
    """Elements of the matrices that every token goes through: all but the embedding table."""
    total = 0
    for file in folder.glob("*.safetensors"):
        with open(file, "rb") as data:
            header = json.loads(data.read(int.from_bytes(data.read(8), "little")))
        total += sum(math.prod(t["shape"]) for name, t in header.items()
                     if name != "__metadata__" and len(t["shape"]) == 2
                     and not any(part in name for part in ("embed_tokens", "embed_in")))
    return total


def limit_tokens_per_s(case, precision, parameters, limits):
    size = {"fp32": 4, "bf16": 2, "int8": 1}[precision]
    peak = {"fp32": "fp32_flops", "bf16": "bf16_flops", "int8": "int8_ops"}[precision]
    arithmetic = limits[peak] / (2 * parameters)
    if not case["steps"]:
        return arithmetic
    return min(arithmetic, limits["read_bytes_per_s"] / (size * parameters) * case["batch"])


def summarise(turns, cases, parameters, allowed):
    """Medians over the turns that others disturbed least, and the limits of the whole run."""
    probes = [probe for turn in turns for probe in turn.get("limits", [])]
    limits = {key: max(p.get(key, 0) for p in probes)
              for key in ("read_bytes_per_s", "fp32_flops", "bf16_flops", "int8_ops")}
    rows = {}
    for turn in turns:
        rows.setdefault(turn["engine"], {"precision": turn["precision"], "turns": []})["turns"].append(turn)
    for row in rows.values():
        quiet = [turn for turn in row["turns"] if turn["others"] <= allowed]
        row["others"] = statistics.median(turn["others"] for turn in quiet or row["turns"])
        row["used"] = len(quiet) or len(row["turns"])
        for case in cases:
            tokens = case["batch"] * (1 if case["steps"] else case["prompt"])
            speeds = [tokens / turn["cases"][case["name"]]["median"] for turn in quiet or row["turns"]]
            best = min(turn["cases"][case["name"]]["best"] for turn in row["turns"])
            row[case["name"]] = {
                "median": statistics.median(speeds), "min": min(speeds), "max": max(speeds), "best": tokens / best,
                "limit": limit_tokens_per_s(case, row["precision"], parameters, limits)}
    return limits, rows


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def ratio(ours, theirs, case):
    name = case["name"]
    return f"{ours[name]['median'] / theirs[name]['median']:.2f} ({ours[name]['best'] / theirs[name]['best']:.2f})"


def table(result, cases):
    limits, rows, peers = result["limits"], result["rows"], [n for n in result["rows"] if not n.startswith("tenon")]
    lines = [f"### {result['model']}", "",
             f"{result['cpu']}, {result['threads']} threads; limits in this run: read "
             f"{limits['read_bytes_per_s'] / 1e9:.1f} GB/s, fp32 {limits['fp32_flops'] / 1e9:.0f}, bf16 "
             f"{limits['bf16_flops'] / 1e9:.0f}, int8 {limits['int8_ops'] / 1e9:.0f} G/s. "
             + ", ".join(f"{k} {v}" for k, v in result["versions"].items()) + ".", "",
             "Tokens a second: median of the turns (fastest round or step seen, and its share of the machine's limit).",
             "Others: processors that other programs took, median of the turns; a turn above "
             f"{result['allowed']} counts only where no other is left.", "",
             "| engine | turns | others | prefill 512 | decode, batch 1 | decode, batch 8 | max abs / KL |",
             "|---|---|---|---|---|---|---|"]
    for name, row in rows.items():
        cells = [f"{row[c['name']]['median']:.1f} ({row[c['name']]['best']:.1f}, "
                 f"{100 * row[c['name']]['best'] / row[c['name']]['limit']:.0f} %)" for c in cases]
        error = result["errors"].get(name)
        told = f"{error['max_abs']:.1e} / {error['mean_kl']:.1e}" if error else "reference"
        lines.append(f"| {name} | {row['used']} | {row['others']:.2f} | " + " | ".join(cells) + f" | {told} |")
    lines += ["", "Tenon over the peer of the same precision, by medians (by the fastest):", "",
              "| tenon / peer | prefill 512 | decode, batch 1 | decode, batch 8 |", "|---|---|---|---|"]
    for peer in peers:
        ours = rows.get(f"tenon {rows[peer]['precision']}")
        if ours:
            ratios = [ratio(ours, rows[peer], c) for c in cases]
            lines.append(f"| {peer} | " + " | ".join(ratios) + " |")
    return "\n".join(lines) + "\n"


def measure(contenders, cases, args, save):
    turns = []
    for number in range(args.rounds):
        for contender in contenders:
            quiet = wait_for_quiet(args.wait)
            with Watch() as watch:
                turn = contender.turn(cases)
            turn.update(engine=contender.name, precision=contender.precision, others=watch.others, quiet_start=quiet)
            turns.append(turn)
            print(f"round {number + 1} {contender.name}: {turn['cases']}, others took {watch.others:.2f} processors",
                  file=sys.stderr, flush=True)
            save(turns)


def save(turns, known, cases, parameters, args):
    """After every turn, so that a run that is cut short leaves what it has."""
    if not any("limits" in turn for turn in turns):
        return
    limits, rows = summarise(turns, cases, parameters, args.allowed)
    for row in rows.values():
        row.pop("turns")
    versions = {k: v for turn in turns for k, v in turn.get("versions", {}).items()} | known["versions"]
    result = {**known, "versions": versions, "limits": limits, "rows": rows}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f"{args.model}.json").write_text(json.dumps({**result, "turns": turns}, indent=1) + "\n")
    (args.out / f"{args.model}.txt").write_text(table(result, cases))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", type=pathlib.Path, required=True, help="the program to measure")
    parser.add_argument("--model", required=True, help="a name that random_checkpoint.py knows")
    parser.add_argument("--work-dir", type=pathlib.Path, required=True, help="checkpoint, bundles and ONNX; big")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "results")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--wait", type=float, default=60, help="seconds to wait for a quiet machine before a turn")
    parser.add_argument("--allowed", type=float, default=0.1, help="processors others may take in a turn that counts")
    parser.add_argument("--only", help="comma-separated names, such as 'tenon bf16,transformers bf16'")
    args = parser.parse_args()
    args.tenon = args.tenon.resolve()
    files = args.work_dir / args.model
    if not (files / "checkpoint" / "config.json").exists():
        output_of([sys.executable, HERE / "random_checkpoint.py", args.model, files / "checkpoint"])
    contenders = [Tenon("fp32", args, files), Peer("transformers", "fp32", args, files),
                  Peer("onnxruntime", "fp32", args, files), Tenon("bf16", args, files),
                  Peer("transformers", "bf16", args, files), Tenon("int8", args, files)]
    if args.only:
        contenders = [c for c in contenders if c.name in args.only.split(",")]
    for contender in contenders:
        contender.prepare()
    reference = files / "reference.npz"
    Peer("transformers", "fp32", args, files).record(reference)
    errors = {c.name: c.error(reference) for c in contenders if c.name != "transformers fp32"}
    cases = cases_of(args)
    known = dict(model=args.model, cpu=cpu_model(), threads=args.threads, new_tokens=args.new_tokens,
                 allowed=args.allowed, cases=cases, errors=errors,
                 versions={"tenon": output_of([args.tenon, "--version"]).strip()})
    parameters = linear_parameters(files / "checkpoint")
    measure(contenders, cases, args, lambda turns: save(turns, known, cases, parameters, args))
    print((args.out / f"{args.model}.txt").read_text())


if __name__ == "__main__":
    main()
