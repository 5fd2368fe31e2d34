"""Runs one transformers model in float32 on one CPU thread and records what any other runtime must reproduce.

Every section starts from a freshly loaded model: dynamic rope scaling keeps frequencies between calls, so the
order of calls would otherwise leak into the outputs.
"""
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

PROMPT = (2, 11)          # batch, length of the plain prompt
LEFT_LENGTHS = (9, 5, 2)  # the left-padded batch
PREFILL, DECODE = 7, 6
GREEDY_PROMPT, GREEDY_NEW = 5, 64
BEAMS, BEAM_NEW = 4, 24
LONG = 20                 # models with rope scaling only: well past the 8 positions of the dynamic ones
PAD = 0


class Unstable(Exception):
    """The model's discrete outputs hang on rounding: another seed is needed."""


def load(folder, dtype=torch.float32):
    torch.set_num_threads(1)
    config = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=dtype, attn_implementation="eager")
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = PAD
    return model.eval()


def random_ids(generator, batch, length, vocab):
    return torch.randint(3, vocab, (batch, length), generator=generator)


def positions_of(mask):
    """As generate() makes them: counted from the first real token, 1 on padding."""
    return (mask.cumsum(-1) - 1).masked_fill(mask == 0, 1)


def decoder_layers(model):
    return model.model.layers if hasattr(model, "model") else model.gpt_neox.layers


def record_plain(folder, ids, out):
    model = load(folder)
    hidden = {}
    for index, layer in enumerate(decoder_layers(model)):
        def keep(_, __, result, index=index):
            hidden[index] = result[0] if isinstance(result, tuple) else result
        layer.register_forward_hook(keep)
    out["ids"] = ids
    out["logits"] = model(ids).logits
    for index, value in sorted(hidden.items()):
        out[f"hidden.{index}"] = value


def left_padded(generator, vocab):
    width = max(LEFT_LENGTHS)
    ids = random_ids(generator, len(LEFT_LENGTHS), width, vocab)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LEFT_LENGTHS):
        mask[row, width - length:] = 1
    return ids.masked_fill(mask == 0, PAD), mask


def record_left(folder, ids, mask, out):
    positions = positions_of(mask)
    out["left_ids"], out["left_mask"], out["left_position_ids"] = ids, mask, positions
    out["left_logits"] = load(folder)(ids, attention_mask=mask, position_ids=positions).logits


def record_decode(folder, ids, out):
    model = load(folder)
    step = model(ids[:, :PREFILL], use_cache=True)
    logits = [step.logits[:, -1]]
    for at in range(PREFILL, PREFILL + DECODE):
        step = model(ids[:, at:at + 1], past_key_values=step.past_key_values, use_cache=True)
        logits.append(step.logits[:, -1])
    out["decode_ids"] = ids
    out["decode_logits"] = logits[-1]
    out["decode_step_logits"] = torch.cat(logits)  # row k: after PREFILL + k tokens


def greedy(model, ids):
    """New tokens, and the smallest gap between the best and the second logit on the way."""
    result = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=GREEDY_NEW, do_sample=False,
                            return_dict_in_generate=True, output_logits=True)
    best = torch.stack(result.logits, 1).topk(2).values
    return result.sequences[:, ids.shape[1]:], float((best[..., 0] - best[..., 1]).min())


def beams(model, ids, eos=None):
    result = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=BEAM_NEW, num_beams=BEAMS,
                            do_sample=False, length_penalty=1.0, early_stopping=False, eos_token_id=eos)
    return result[:, ids.shape[1]:]


def shaken(model, scale=1e-5):
    """The same model with every weight off by a relative error far above float32 rounding."""
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.data.mul_(1 + scale * noise)
    return model


def record_generation(folder, ids, left, mask, out):
    tokens, gap = greedy(load(folder), ids)
    if gap < 2e-3:
        raise Unstable(f"greedy gap {gap:.1e}")
    if len(set(tokens[0].tolist())) < 6:
        raise Unstable("greedy output repeats itself")
    beam = beams(load(folder), ids)
    eos = int(beam[0, 10])
    beam_eos = beams(load(folder), ids, eos)
    for other in (lambda: load(folder, torch.float64), lambda: shaken(load(folder))):
        if not torch.equal(greedy(other(), ids)[0], tokens):
            raise Unstable("greedy tokens move with rounding")
        if not torch.equal(beams(other(), ids), beam):
            raise Unstable("beams move with rounding")
        if not torch.equal(beams(other(), ids, eos), beam_eos):
            raise Unstable("beams with an end token move with rounding")
    batch = load(folder).generate(left, attention_mask=mask, max_new_tokens=16, do_sample=False)
    same = shaken(load(folder)).generate(left, attention_mask=mask, max_new_tokens=16, do_sample=False)
    if not torch.equal(batch, same):
        raise Unstable("batched greedy tokens move with rounding")
    out["greedy_prompt_ids"], out["greedy_ids"], out["beam_ids"] = ids, tokens, beam
    out["eos_id"], out["beam_eos_ids"] = torch.tensor([eos]), beam_eos
    out["left_greedy_ids"] = batch[:, left.shape[1]:]
    return gap


@torch.no_grad()
def record(folder, seed):
    """The arrays of expected.npz by name, and a few facts for the index."""
    config = AutoConfig.from_pretrained(folder)
    generator = torch.Generator().manual_seed(seed)
    vocab, out = config.vocab_size, {}
    ids = random_ids(generator, *PROMPT, vocab)
    left, mask = left_padded(generator, vocab)
    decode = random_ids(generator, 1, PREFILL + DECODE, vocab)
    prompt = random_ids(generator, 1, GREEDY_PROMPT, vocab)
    gap = record_generation(folder, prompt, left, mask, out)
    record_plain(folder, ids, out)
    record_left(folder, left, mask, out)
    record_decode(folder, decode, out)
    if config.rope_scaling:
        out["long_ids"] = random_ids(generator, 1, LONG, vocab)
        out["long_logits"] = load(folder)(out["long_ids"]).logits
    if float(out["logits"].std()) < 0.3:
        raise Unstable("degenerate logits")
    facts = {"greedy_gap": round(gap, 5), "logits_std": round(float(out["logits"].std()), 3)}
    return {name: as_numpy(value) for name, value in out.items()}, facts


def as_numpy(value):
    value = value.detach().contiguous()
    return value.to(torch.float32 if value.is_floating_point() else torch.int64).numpy()


def save(path, arrays):
    for name, value in arrays.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{path}: {name} is not finite")
    np.savez(path, **arrays)
