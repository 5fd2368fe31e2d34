"""Measures `tenon serve` beside other servers of text, all taking turns under one client, and prints a table.

python bench/serving_peers.py --all --tenon build/release/bin/tenon --models DIR

The client is `tenon bench --server`. Each turn starts one server on a free port, asks it once to warm it, and then
drives it at each number of concurrent requests. Rounds go A B C A B C. What is measured is appended to
DIR/serving.jsonl at once, and what stands there is not measured again. bench/README.md tells what DIR holds.
"""

import argparse
import contextlib
import json
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

from peers import TICKS, Watch, cpu_model, wait_for_quiet

HERE = pathlib.Path(__file__).resolve().parent
PROMPT_TOKENS = 128


class Subject:
    """Name, precision, what is measured beside it, and the command that starts it."""

    def __init__(self, name, precision, error, command):
        self.name, self.precision, self.error, self.command = f"{name} {precision}", precision, error, command


def subjects_of(args):
    models, found = args.models, []
    wide = [str(args.most), str(args.most * (PROMPT_TOKENS + args.new_tokens + 16))]

    def tenon(precision):
        return lambda port: [args.tenon, "serve", models / f"{precision}.tenon", "--http-port", 0, "--openai-port",
                             port, "--metrics-port", 0, "--cache-tokens", wide[1], "--threads", args.threads]

    def llama(kind):
        return lambda port: [args.llama_server, "-m", models / f"{kind}.gguf", "--port", port, "-t", args.threads,
                             "-tb", args.threads, "-np", wide[0], "-c", wide[1], "--cont-batching", "--no-cache-prompt",
                             "--cache-ram", 0]

    def engine(name, folder):
        return lambda port: [sys.executable, HERE / "serving_engines.py", name, models / folder, "--tokenizer",
                             models / "checkpoint" / "tokenizer.model", "--port", port, "--threads", args.threads,
                             "--sequences", wide[0]]

    found.append(Subject("tenon", "int8", "tenon", tenon("int8")))
    found.append(Subject("llama.cpp", "q8_0", "llama", llama("q8_0")))
    found.append(Subject("openvino", "int8", "openvino", engine("openvino", "ov-int8")))
    found.append(Subject("onnxruntime-genai", "int8", "onnxruntime", engine("onnxruntime-genai", "og-int8")))
    found.append(Subject("tenon", "bf16", "tenon", tenon("bf16")))
    found.append(Subject("llama.cpp", "bf16", "llama", llama("bf16")))
    found.append(Subject("openvino", "bf16", "openvino", engine("openvino", "ov-bf16")))
    return [s for s in found if not args.only or s.name in args.only.split(",")]


def write_prompts(path, model, count):
    """Texts that SentencePiece turns into exactly PROMPT_TOKENS tokens, the first of a text included."""
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(str(model))
    words = [i for i in range(300, pieces.vocab_size()) if pieces.IdToPiece(i).startswith("▁")
             and pieces.IdToPiece(i)[1:].isascii() and pieces.IdToPiece(i)[1:].isalpha()]
    draw, texts = random.Random(7), []
    while len(texts) < count:
        text = pieces.decode([draw.choice(words) for _ in range(PROMPT_TOKENS - 1)])
        if len(pieces.encode(text)) == PROMPT_TOKENS - 1:
            texts.append(json.dumps(text))
    path.write_text("\n".join(texts) + "\n")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def ask(port, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode() if body else None,
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as reply:
        return reply.read()


def processor_s(pid):
    """Processor time of a running child, which Watch takes for another program until it has ended."""
    user, system = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / TICKS


@contextlib.contextmanager
def running(subject, log):
    port = free_port()
    with open(log, "ab") as told:
        server = subprocess.Popen([str(part) for part in subject.command(port)], stdout=told, stderr=told)
    try:
        for _ in range(1200):
            if server.poll() is not None:
                raise RuntimeError(f"{subject.name} ended with {server.returncode}: see {log}")
            try:
                model = json.loads(ask(port, "/v1/models"))["data"][0]["id"]
                ask(port, "/v1/completions", {"model": model, "prompt": "one two three", "max_tokens": 4,
                                              "temperature": 0, "stream": True})
                break
            except (OSError, urllib.error.URLError, KeyError, IndexError):
                time.sleep(0.25)
        else:
            raise RuntimeError(f"{subject.name} is not ready: see {log}")
        yield port, model, server.pid
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def prompts_of(args, level):
    """Those of one level, so that no level finds what another has left in a cache of prefixes."""
    path, levels = args.models / f"prompts-{level}.txt", args.concurrency
    begin = sum(max(other, 2) for other in levels[:levels.index(level)])
    lines = args.prompts.read_text().splitlines()
    path.write_text("\n".join(lines[begin:begin + max(level, 2)]) + "\n")
    return path


def drive(args, port, model, level):
    """One level under the client."""
    command = [args.tenon, "bench", "--server", f"http://127.0.0.1:{port}", "--api", "openai", "--model", model,
               "--prompts", prompts_of(args, level), "--new-tokens", args.new_tokens, "--concurrency", level,
               "--requests", max(level, 2), "--warmup", 0, "--seed", args.seed, "--extra", json.dumps({"temperature": 0}), "--json"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if not done.stdout.strip():
        raise RuntimeError(f"the client ended with {done.returncode}: {done.stderr[-2000:]}")
    got = json.loads(done.stdout)["levels"][0]
    if got["failed"] or got["completed"] != max(level, 2):
        raise RuntimeError(f"{got['completed']} answers, {got['failed']} failures: {got['errors']}")
    return {"tokens_per_s": got["output_tokens"] / got["seconds"], "output_tokens": got["output_tokens"],
            "prompt_tokens": got["prompt_tokens"], "seconds": got["seconds"], "ttft_ms": got["ttft_ms"]["p50"],
            "decode_per_s": 1e3 / got["tpot_ms"]["min"]}


def run_alone(args, precision):
    """`tenon run` on the first prompts: tokens a second after the first one, the fastest."""
    speeds = []
    for line in args.prompts.read_text().splitlines()[:2]:
        done = subprocess.run(
            [str(args.tenon), "run", str(args.models / f"{precision}.tenon"), "-p", json.loads(line),
             "--max-new-tokens", str(args.new_tokens), "--temperature", "0", "--ignore-eos", "--threads", str(args.threads), "--json"],
            capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)["timings"]
        speeds.append(told["decode_tokens_per_s"])
    return {"decode_per_s": max(speeds)}


class Results:
    def __init__(self, path):
        self.path = path
        self.rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def has(self, subject, level, round_):
        return any((r["subject"], r["level"], r["round"]) == (subject, level, round_) for r in self.rows)

    def add(self, **row):
        self.rows.append(row)
        with open(self.path, "a") as file:
            file.write(json.dumps(row) + "\n")
        speed = row.get("tokens_per_s", row.get("decode_per_s"))
        told = row.get("error") or row.get("metrics") or f"{speed:8.1f} tokens/s  others {row.get('others', 0):.2f}"
        print(f"{row['subject']:24} {row['level']!s:>5}  {told}", flush=True)


def measure(args, results, subject, round_):
    levels = [level for level in args.concurrency
              if (level < args.most or round_ < args.long_rounds) and not results.has(subject.name, level, round_)]
    if levels:
        wait_for_quiet(args.wait)
        try:
            with running(subject, args.models / "serving.log") as (port, model, pid):
                for level in levels:
                    start, before = time.monotonic(), processor_s(pid)
                    with Watch() as watch:
                        row = drive(args, port, model, level)
                    used = (processor_s(pid) - before) / (time.monotonic() - start)
                    results.add(subject=subject.name, level=level, round=round_, others=max(0.0, watch.others - used),
                                **row)
        except RuntimeError as failure:
            results.add(subject=subject.name, level=None, round=round_, error=str(failure)[:500])
    if subject.error == "tenon" and not results.has(subject.name, "run", round_):
        results.add(subject=subject.name, level="run", round=round_, **run_alone(args, subject.precision))


def measure_errors(args, results, subjects):
    """Logits of 64 tokens against those of transformers in fp32, recorded once in DIR/reference.npz."""
    for subject in subjects:
        if results.has(subject.name, "error", 0):
            continue
        done = subprocess.run([sys.executable, str(HERE / "serving_errors.py"), subject.error, subject.precision,
                               str(args.models), "--tenon", str(args.tenon)], capture_output=True, text=True)
        told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 and done.stdout.strip() else None
        results.add(subject=subject.name, level="error", round=0,
                    **({"metrics": told} if told else {"error": done.stderr[-300:]}))


def median(results, subject, level, field="tokens_per_s"):
    rows = [r for r in results.rows if r["subject"] == subject and r["level"] == level and field in r]
    quiet = [r for r in rows if r.get("others", 0) <= 0.1]
    values = [r[field] for r in quiet or rows]
    return statistics.median(values) if values else None


def table(args, results, subjects):
    def cell(value, form):
        return "-" if value is None else form.format(value)

    lines = [f"{cpu_model()}, {args.threads} threads; prompt {PROMPT_TOKENS}, {args.new_tokens} new tokens, greedy. "
             "Tokens written a second over the whole level, prompts included; medians of the rounds in which others took",
             "less than a tenth of a processor, where there is one.", "",
             "| server | " + " | ".join(f"{level}" for level in args.concurrency)
             + " | first token, s | KL to fp32 | top-1 |", "|---|" + "---|" * (len(args.concurrency) + 3)]
    for subject in subjects:
        speeds = [cell(median(results, subject.name, level), "{:.1f}") for level in args.concurrency]
        first = [median(results, subject.name, level, "ttft_ms") for level in args.concurrency]
        metrics = next((r["metrics"] for r in results.rows if r["subject"] == subject.name and "metrics" in r), {})
        lines.append(f"| {subject.name} | " + " | ".join(speeds) + " | "
                     + " / ".join(cell(f and f / 1e3, "{:.2f}") for f in first)
                     + f" | {cell(metrics.get('mean_kl'), '{:.1e}')} | {cell(metrics.get('top1'), '{:.2f}')} |")
    lines.append("")
    for subject in subjects:
        served, alone = (max((r["decode_per_s"] for r in results.rows if r["subject"] == subject.name
                              and r["level"] == level), default=None) for level in (1, "run"))
        if served and alone:
            lines.append(f"{subject.name}: the fastest request of `tenon run` decodes {alone:.2f} tokens/s, of the "
                         f"server at concurrency 1 {served:.2f}: {100 * (1 - served / alone):+.1f} % lost.")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="measure; without it the table of what there is")
    parser.add_argument("--tenon", type=pathlib.Path, default=HERE.parent / "build/release/bin/tenon")
    parser.add_argument("--llama-server", type=pathlib.Path, default="llama-server")
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="names of subjects, with commas")
    parser.add_argument("--concurrency", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4, 16, 64])
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--long-rounds", type=int, default=1, help="rounds of the highest level")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--wait", type=float, default=10, help="seconds to wait for quiet before a turn")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.most = max(args.concurrency)
    args.prompts = args.models / "prompts.txt"
    if not args.prompts.exists():
        write_prompts(args.prompts, args.models / "checkpoint" / "tokenizer.model", 4 * args.most)
    results, subjects = Results(args.models / "serving.jsonl"), subjects_of(args)
    if args.all:
        for round_ in range(args.rounds):
            for subject in subjects:
                measure(args, results, subject, round_)
        measure_errors(args, results, subjects)
    print(table(args, results, subjects))


if __name__ == "__main__":
    main()
