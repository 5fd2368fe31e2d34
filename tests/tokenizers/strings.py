"""Seeded strings for comparing tokenizers: languages, emoji, marks, spaces, controls, bad bytes."""
import random

from corpus import SENTENCES, WORDS

SPACES = [" ", "  ", "    ", "\t", "\n", "\r\n", "\n\n", " \n", "\u00a0", "\u180e", "\u200b", "\u2003",
          "\u2028", "\u3000", "\ufeff", "\x0b", "\x0c", "\x85", "\x1c", "\x1f", "\u1680", "\u202f", "\u205f",
          "\u2060", " " * 13, "\n" * 5, "\t\t\t"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "1️⃣", "❤️‍🔥", "🧑🏿‍🚀", "🫱🏻‍🫲🏿", "☃", "\U0001fae8", "🐈‍⬛"]
SPECIAL = ["</s>", "<s>", "<unk>", "<pad>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<|im_start|>",
           "<|im_end|>", "[INST]", "<0x0A>", "<0xE2>", "<extra>", "<left>", "<right>", "<word>", "<Norm É>", "<both>",
           " <left>", "<right> ", "  <both>  ", "a<word>b", " <word> ", "<s", "/s>", "<|end", "▁", "▁▁", "Ġ", "Ċ"]
CONTRACTIONS = ["'s", "'S", "'ll", "'LL", "'Re", "’s", "'ſ", "'", "''", "'d", "'ve", "n't", " 's", " .", " ?", " ' ", " n't"]
CODE = ["for (;;) {", "x += 1;", "#include <vector>", "std::vector<int>", "->", "===", "/* */", "\\n", "$\\alpha^2$", "0x1F",
        "a_b_c", "CamelCaseName", "HTTPServer2", "__init__", "%%", "@@@", "```python\n", "{\"a\": [1, 2]}", "<!-- -->"]
MARKS = [chr(c) for c in (0x300, 0x301, 0x308, 0x323, 0x327, 0x345, 0x5b0, 0x64b, 0x93c, 0x94d, 0xe31, 0x3099, 0x20dd, 0xfe0f, 0x8d4, 0x11938)]
JAMO = ["\u1112\u1161\u11ab", "\u1100\u1161", "각", "\uac00\u11a8"]
COMPOSED = ["é", "e\u0301", "Å", "\u212b", "ﬁ", "①", "Ⅷ", "ｱﾊﾟ", "ỗ", "o\u0302\u0303", "\u0958", "\u2126", "\ufdfa", "ẞ", "İ", "ǅ", "½", "x²"]
BAD = [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x80", b"\xe0\x9f\xbf", b"\xf8\x88"]
BLOCKS = [(0x20, 0x7f), (0xa0, 0x250), (0x250, 0x590), (0x590, 0x800), (0x800, 0x1100), (0x1100, 0x2000), (0x2000, 0x2e80),
          (0x2e80, 0x3400), (0x3400, 0xa000), (0xa000, 0xd7ff), (0xe000, 0x10000), (0x10000, 0x12000), (0x12000, 0x20000),
          (0x1f000, 0x20000), (0x20000, 0x33480), (0xe0000, 0xe0200), (0, 0x20), (0x80, 0xa0)]


def fragment(rng):
    kind = rng.randrange(16)
    if kind <= 2:
        return rng.choice(WORDS)
    if kind == 3:
        return rng.choice(SENTENCES)[rng.randrange(30):][:rng.randrange(1, 40)]
    if kind <= 5:
        return rng.choice(SPACES) * rng.choice((1, 1, 1, 2, 3))
    if kind == 6:
        return rng.choice(EMOJI)
    if kind == 7:
        return rng.choice(SPECIAL)
    if kind == 8:
        return rng.choice(CONTRACTIONS)
    if kind == 9:
        return rng.choice(CODE)
    if kind == 10:
        return str(rng.randrange(10 ** rng.randrange(1, 12))) + rng.choice(("", ".5", ",000", "٣٤", "२"))
    if kind == 11:
        return rng.choice(COMPOSED + JAMO)
    if kind == 12:
        return rng.choice("aeouकกא ") + "".join(rng.choices(MARKS, k=rng.randrange(1, 6)))
    if kind == 13:
        low, high = rng.choice(BLOCKS)
        return "".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 5)))
    if kind == 14:
        return rng.choice(WORDS).upper() + rng.choice(("", "!", "...", "?!", "—", "、", "。"))
    return rng.choice("abcxyzABC.,;:!?-_()[]{}<>/\\\"'@#$%^&*+=~`|0123456789") * rng.choice((1, 1, 2, 7))


def strings(count=20000, seed=7):
    """Byte strings; about one in twelve is not valid UTF-8."""
    rng = random.Random(seed)
    out = [b"", b" ", b"\0", "e\u0301" .encode(), ("a" * 3000).encode(), (" " * 500).encode(), ("\u0301\u0323" * 300).encode()]
    while len(out) < count:
        glue = rng.choice(("", "", " "))
        parts = [fragment(rng).encode() for _ in range(rng.choice((1, 2, 3, 3, 4, 6, 9)))]
        if rng.randrange(12) == 0:
            parts.insert(rng.randrange(len(parts) + 1), b"".join(rng.choices(BAD, k=rng.randrange(1, 4))))
        text = glue.encode().join(parts)
        if rng.randrange(20) == 0 and text:
            text = text[rng.randrange(len(text)):]  # may begin inside a character
        out.append(text)
    return out


def sweep():
    """Code points of the planes that hold characters, beside a letter, a space and a digit."""
    for begin in [*range(0, 0xD800, 64), *range(0xE000, 0x34000, 64), *range(0xE0000, 0xE1000, 64)]:
        yield "".join(f"{chr(c)}a {chr(c)}1" for c in range(begin, begin + 64))
