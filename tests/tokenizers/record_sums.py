"""Sums of what a tokenizer of the reference makes of the strings, as the C++ test repeats them."""
import struct

import strings

BLOCK = 16


def fnv(data, state=0xcbf29ce484222325):
    for byte in data:
        state = (state ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return state


def sums(items):
    """32 bits for each block of items (bytes objects)."""
    out = []
    for begin in range(0, len(items), BLOCK):
        out.append(f"{fnv(b''.join(items[begin:begin + BLOCK])) & 0xffffffff:08x}")
    return "".join(out)


def packed_ids(ids):
    return struct.pack(f"<{len(ids)}i", *ids) + b"\xff\xff\xff\xff"


def packed_text(text):
    return text.encode() + b"\xff"


def random_ids(bound, count=3000, seed=12345):
    """The same sequence as the test makes."""
    state, rows = seed, []
    for row in range(count):
        ids = []
        for _ in range(row % 12 + 1):
            state = (state * 6364136223846793005 + 1442695040888963407) & 0xffffffffffffffff
            ids.append((state >> 33) % bound)
        rows.append(ids)
    return rows


def clean(tokenizer):
    return getattr(tokenizer, "clean_up_tokenization_spaces", False)


def record(tokenizer, texts, swept, polish=lambda text: text):
    """Sums of everything that the test repeats. `tokenizer`: transformers, fast. `polish`: what its class does to text that
    the backend decoded."""
    backend = tokenizer._tokenizer

    def decoded(rows, skip):
        out = backend.decode_batch(rows, skip_special_tokens=skip)
        return [polish(tokenizer.clean_up_tokenization(text) if clean(tokenizer) else text) for text in out]

    ids = [e.ids for e in backend.encode_batch(texts)]
    plain = [e.ids for e in backend.encode_batch(texts, add_special_tokens=False)]
    backend.encode_special_tokens = True
    literal = [e.ids for e in backend.encode_batch(texts, add_special_tokens=False)]
    backend.encode_special_tokens = False
    bound = max(backend.get_vocab().values()) + 1
    rows = random_ids(bound)
    case = {"bound": bound, "ids": sums([packed_ids(i) for i in ids]), "plain": sums([packed_ids(i) for i in plain]),
            "literal": sums([packed_ids(i) for i in literal]),
            "decoded": sums([packed_text(t) for t in decoded(ids, True)]),
            "random_skip": sums([packed_text(t) for t in decoded(rows, True)]),
            "random_all": sums([packed_text(t) for t in decoded(rows, False)]),
            "full": {str(i): ids[i] for i in range(7, 27)}}
    if swept:
        case["sweep"] = sums([packed_ids(e.ids) for e in backend.encode_batch(list(strings.sweep()))])
    return case
