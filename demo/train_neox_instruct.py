"""Trains the GPT-NeoX demo on Dolly's prompt.

python train_neox_instruct.py [--work DIR] [--out DIR] [--steps N] [--seconds S]
"""
import argparse
import gzip
import json
import random
from pathlib import Path

import torch
from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

import training
from prompts import END_KEY, prompt

SHARES = {"meaning": 0.30, "example": 0.13, "synonym": 0.10, "kind": 0.09, "opposite": 0.04, "part": 0.05, "spelling": 0.10,
          "sum": 0.13, "compare": 0.02, "number": 0.02, "order": 0.015, "about": 0.005}


def config():
    return GPTNeoXConfig(vocab_size=2048, hidden_size=256, intermediate_size=1024, num_hidden_layers=4,
                         num_attention_heads=8, rotary_pct=0.25, max_position_embeddings=512, hidden_act="gelu",
                         use_parallel_residual=True, bos_token_id=0, eos_token_id=0, tie_word_embeddings=False,
                         attn_implementation="sdpa")


class Data:
    """Questions and answers as ids; a batch is padded on the right and only answers count."""

    def __init__(self, tokenizer, facts, device):
        self.device = device
        self.answers = [tokenizer(f"{answer}\n\n{END_KEY}").input_ids for _, _, answer in facts]
        self.asks = [[tokenizer(prompt(ask)).input_ids for ask in ([asks] if isinstance(asks, str) else asks)]
                     for _, asks, _ in facts]
        self.kinds = {}
        for at, (kind, _, _) in enumerate(facts):
            self.kinds.setdefault(kind, []).append(at)

    def draw(self, rng, count):
        kinds = rng.choices(list(self.kinds), [SHARES[kind] for kind in self.kinds], k=count)
        return self.collate([(rng.choice(self.asks[at]), self.answers[at])
                             for at in (rng.choice(self.kinds[kind]) for kind in kinds)])

    def collate(self, pairs):
        width = max(len(ask) + len(answer) for ask, answer in pairs)
        ids, labels = torch.zeros(len(pairs), width, dtype=torch.long), torch.full((len(pairs), width), -100)
        for row, (ask, answer) in enumerate(pairs):
            end = len(ask) + len(answer)
            ids[row, :end] = torch.tensor(ask + answer)
            labels[row, len(ask):end] = ids[row, len(ask):end]
        return {"input_ids": ids.to(self.device), "labels": labels.to(self.device)}


@torch.no_grad()
def exact(model, data, limit, rng, device, new=40):
    """The share of greedy answers that are right to the last token, in all and by kind."""
    picks = [(kind, at) for kind, rows in data.kinds.items() for at in rng.sample(rows, min(len(rows), limit))]
    hits = {}
    for start in range(0, len(picks), 256):
        part = picks[start:start + 256]
        asks = [rng.choice(data.asks[at]) for _, at in part]
        width = max(map(len, asks))
        ids = torch.tensor([[0] * (width - len(ask)) + ask for ask in asks], device=device)
        mask = torch.tensor([[0] * (width - len(ask)) + [1] * len(ask) for ask in asks], device=device)
        out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=0)
        for (kind, at), row in zip(part, out[:, width:].tolist()):
            answer = data.answers[at][:new]
            hits.setdefault(kind, []).append(row[:len(answer)] == answer)
    counted = {kind: f"{sum(right)}/{len(right)}" for kind, right in hits.items()}
    return {"all": round(sum(map(sum, hits.values())) / len(picks), 4), **counted}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".data"))
    parser.add_argument("--out", type=Path, default=Path(".data/neox-instruct/trained"))
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--seconds", type=float, default=36000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--check", type=int, default=400, help="answers checked a kind at the end")
    args = parser.parse_args()
    device = training.device()
    tokenizer = AutoTokenizer.from_pretrained(args.work / "neox-instruct")
    with gzip.open(args.work / "neox-instruct/facts.json.gz", "rt") as file:
        facts = json.load(file)
    sets = {name: Data(tokenizer, rows, device) for name, rows in facts.items()}
    torch.manual_seed(0)
    model = GPTNeoXForCausalLM(config()).to(device)
    rng = random.Random(2)

    @torch.no_grad()
    def held_loss(model):
        fixed = random.Random(3)
        batches = [sets["held_wording"].draw(fixed, 256), sets["held_sums"].draw(fixed, 256)]
        return sum(float(model(**batch, use_cache=False).loss) for batch in batches) / len(batches)

    model, history = training.train(model, lambda: sets["train"].draw(rng, args.batch), held_loss, steps=args.steps,
                                    seconds=args.seconds, rate=1.5e-3, decay=0.02)
    final = model.to(torch.bfloat16).float()
    report = {"parameters": sum(p.numel() for p in model.parameters()), "batch": args.batch,
              "facts": {name: len(rows) for name, rows in facts.items()}}
    training.save(final, args.out, {**report, "history": history})
    final.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(END_KEY)
    report["exact"] = {name: exact(final, data, args.check, random.Random(4), device) for name, data in sets.items()}
    print(json.dumps(report), flush=True)
    training.save(final, args.out, {**report, "history": history})


if __name__ == "__main__":
    main()
