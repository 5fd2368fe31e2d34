#!/usr/bin/env python3
"""Records what transformers generates from a toy model, and what its processors make of scores.

Usage: record.py  (writes generation.json and processors.json beside itself)
The toy model is defined by integers alone, so that another program can compute the same scores:
the score of token t after (a, b) is hash(seed, a, b, t) / 2^k, an exact float.
"""
import functools
import json
import pathlib

import torch
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

HERE = pathlib.Path(__file__).parent
MASK = (1 << 32) - 1


def mix(value):
    value = (value ^ (value >> 16)) * 0x7FEB352D & MASK
    value = (value ^ (value >> 15)) * 0x846CA68B & MASK
    return value ^ (value >> 16)


@functools.lru_cache(maxsize=None)
def toy_scores(seed, a, b, vocabulary, spread):
    """Twenty random bits a token, scaled to [0, spread)."""
    state = mix(seed * 0x9E3779B1 + a * 0x85EBCA77 + b * 0xC2B2AE3D + 1 & MASK)
    return [(mix(state + t * 0x27D4EB2F & MASK) >> 12) * spread / 1048576 for t in range(vocabulary)]


class ToyConfig(PretrainedConfig):
    model_type = "toy"

    def __init__(self, vocab_size=48, seed=1, spread=8, **kwargs):
        super().__init__(**kwargs)
        self.vocab_size, self.seed, self.spread = vocab_size, seed, spread
        self.num_hidden_layers = 1


class Toy(PreTrainedModel, GenerationMixin):
    config_class = ToyConfig
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__(config)
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, input_ids, attention_mask=None, **kwargs):
        c = self.config
        rows = []
        for ids in input_ids.tolist():
            last = [toy_scores(c.seed, ids[-2] if len(ids) > 1 else c.vocab_size, ids[-1], c.vocab_size, c.spread)]
            rows.append([[0.0] * c.vocab_size] * (len(ids) - 1) + last)
        return CausalLMOutput(logits=torch.tensor(rows, dtype=torch.float32))

    def prepare_inputs_for_generation(self, input_ids, **kwargs):
        return {"input_ids": input_ids}


PROMPTS = [[3], [1, 2, 3, 4, 5], [7, 7, 7, 7, 9, 7, 7]]
BASE = dict(max_new_tokens=24, eos_token_id=0, pad_token_id=0, top_k=50)
CASES = [
    {}, {"max_new_tokens": 64}, {"max_new_tokens": 1}, {"min_new_tokens": 20}, {"min_length": 12}, {"eos_token_id": [0, 5, 9, 11, 30]},
    {"eos_token_id": None, "max_new_tokens": 64}, {"repetition_penalty": 1.3, "max_new_tokens": 64}, {"repetition_penalty": 0.8},
    {"no_repeat_ngram_size": 2, "max_new_tokens": 64}, {"no_repeat_ngram_size": 1, "max_new_tokens": 30}, {"no_repeat_ngram_size": 3, "eos_token_id": None, "max_new_tokens": 64},
    {"bad_words_ids": [[4], [7, 9], [1, 2, 3], [0], [12, 20]]}, {"suppress_tokens": [1, 2, 3, 7, 20, 30]}, {"begin_suppress_tokens": [0, 40, 41, 42]},
    {"forced_eos_token_id": 5, "max_new_tokens": 6}, {"forced_bos_token_id": 17}, {"exponential_decay_length_penalty": [3, 1.2], "max_new_tokens": 64},
    {"remove_invalid_values": True, "suppress_tokens": [2]}, {"renormalize_logits": True}, {"max_new_tokens": None, "max_length": 21},
]
for beams in (2, 4):
    for penalty in (-1.0, 0.5, 1.0, 2.0):
        for early in (False, True, "never"):
            CASES.append({"num_beams": beams, "length_penalty": penalty, "early_stopping": early, "max_new_tokens": 32 if beams == 4 else 64})
CASES += [
    {"num_beams": 4, "num_return_sequences": 4}, {"num_beams": 3, "num_return_sequences": 2, "early_stopping": True}, {"num_beams": 4, "length_penalty": 0.0, "early_stopping": "never", "num_return_sequences": 3},
    {"num_beams": 4, "no_repeat_ngram_size": 2}, {"num_beams": 2, "repetition_penalty": 1.5}, {"num_beams": 3, "min_new_tokens": 10}, {"num_beams": 4, "eos_token_id": [0, 5, 9], "num_return_sequences": 4},
    {"num_beams": 4, "eos_token_id": None, "num_return_sequences": 2}, {"num_beams": 3, "bad_words_ids": [[4], [7, 9], [11, 13]]}, {"num_beams": 2, "suppress_tokens": [1, 5, 6]}, {"num_beams": 2, "forced_eos_token_id": 5, "max_new_tokens": 8},
    {"num_beams": 5, "renormalize_logits": True, "repetition_penalty": 1.2}, {"num_beams": 8, "num_return_sequences": 8, "max_new_tokens": 12}, {"num_beams": 4, "max_new_tokens": 1, "num_return_sequences": 4}, {"num_beams": 2, "exponential_decay_length_penalty": [2, 1.5]},
    {"num_beams": 4, "min_new_tokens": 5, "eos_token_id": [0, 5, 9, 14], "early_stopping": True, "num_return_sequences": 4},
]
MODELS = [{"seed": 1, "vocab_size": 48, "spread": 8}, {"seed": 2, "vocab_size": 24, "spread": 4}, {"seed": 3, "vocab_size": 100, "spread": 16}]


def generate(model, prompt, case):
    options = {k: v for k, v in (BASE | case).items() if v is not None}
    eos = options.get("eos_token_id")
    for banned in ("suppress_tokens", "begin_suppress_tokens"):
        if banned in options:
            options[banned] = [t for t in options[banned] if t < model.config.vocab_size]
    out = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                         generation_config=GenerationConfig(**options, use_cache=False, return_dict_in_generate=True, output_scores=True))
    eos = eos if isinstance(eos, list) else [] if eos is None else [eos]
    rows = []
    for row in out.sequences.tolist():
        ids = row[len(prompt):]
        end = next((i + 1 for i, t in enumerate(ids) if t in eos), len(ids))  # what follows is padding
        rows.append(ids[:end])
    scores = getattr(out, "sequences_scores", None)
    return options, rows, None if scores is None else scores.tolist()


def generation_cases():
    for m, settings in enumerate(MODELS):
        model = Toy(ToyConfig(**settings)).eval()
        for p, prompt in enumerate(PROMPTS):
            for case in CASES:
                options, ids, scores = generate(model, prompt, case)
                yield {"model": m, "prompt": p, "config": options, "ids": ids, "scores": scores}


PROCESSORS = [
    {}, {"temperature": 0.3}, {"temperature": 2.5}, {"top_k": 1}, {"top_k": 5}, {"top_k": 1000}, {"top_k": 0, "top_p": 0.5}, {"top_p": 0.9}, {"top_p": 0.05}, {"top_p": 1.0, "top_k": 0},
    {"top_k": 0, "min_p": 0.1}, {"top_k": 0, "min_p": 0.9}, {"min_p": 0.0}, {"top_k": 0, "typical_p": 0.2}, {"top_k": 0, "typical_p": 0.7}, {"typical_p": 0.95}, {"top_k": 0, "epsilon_cutoff": 0.02}, {"top_k": 0, "epsilon_cutoff": 0.9},
    {"top_k": 0, "eta_cutoff": 0.05}, {"top_k": 0, "eta_cutoff": 0.6}, {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.05}, {"temperature": 1.5, "top_k": 0, "top_p": 0.7, "typical_p": 0.6, "epsilon_cutoff": 0.01, "eta_cutoff": 0.02},
    {"repetition_penalty": 1.7, "no_repeat_ngram_size": 2, "temperature": 0.9, "top_p": 0.95}, {"renormalize_logits": True, "top_k": 3}, {"bad_words_ids": [[2], [7, 7]], "min_new_tokens": 4, "suppress_tokens": [4], "temperature": 0.5},
    {"num_beams": 3, "top_k": 1}, {"num_beams": 3, "top_k": 0, "top_p": 0.01, "eos_token_id": [0, 3]}, {"num_beams": 2, "top_k": 0, "min_p": 1.0}, {"num_beams": 2, "top_k": 0, "typical_p": 0.01}, {"num_beams": 2, "top_k": 0, "epsilon_cutoff": 0.99},
]


def processor_cases():
    for m, settings in enumerate(MODELS):
        model = Toy(ToyConfig(**settings))
        for generated in ([], [4, 7], [7, 7, 1, 7]):
            ids = PROMPTS[2] + generated
            for case in PROCESSORS:
                options = dict(eos_token_id=0, max_new_tokens=9, do_sample=True) | case
                config = GenerationConfig(**options)
                model._prepare_special_tokens(config, True, device="cpu")
                processors = model._get_logits_processor(config, input_ids_seq_length=len(PROMPTS[2]), encoder_input_ids=None)
                scores = torch.tensor([toy_scores(settings["seed"], ids[-2], ids[-1], settings["vocab_size"], settings["spread"])])
                row = processors(torch.tensor([ids]), scores - settings["spread"] / 2)[0]
                probabilities = torch.softmax(row.double(), dim=-1).tolist()
                yield {"model": m, "generated": generated, "config": options,
                       "probabilities": [[i, round(p, 9)] for i, p in enumerate(probabilities) if p > 0]}


def write(name, cases):
    lines = [json.dumps(case) for case in cases]
    head = json.dumps({"models": MODELS, "prompts": PROMPTS})[:-1]
    (HERE / name).write_text(head + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")
    print(name, len(lines), "cases")


if __name__ == "__main__":
    torch.manual_seed(0)
    write("generation.json", generation_cases())
    write("processors.json", processor_cases())
