"""Records what transformers makes of the strings with CLIP tokenizers: a small one of our own, from merges and from
tokenizer.json, and the published merge list.

    python record_clip.py [DATA_DIR]

Adds fixtures/clip_cases.json.gz, in the form of cases.json.gz. The ids are those of CLIPTokenizerFast. CLIPTokenizer (the
class in Python, without ftfy) drops characters of the Unicode categories C* and sets CJK characters apart before it begins;
strings without those must give the same ids with both classes, which is checked here. Decoded texts keep the spaces at their
ends, which CLIPTokenizerFast strips: pieces of a stream keep them too.
"""
import gzip
import json
import pathlib
import sys
import tempfile
import unicodedata

from tokenizers import Tokenizer, models, trainers
from transformers import CLIPTokenizer, CLIPTokenizerFast
from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode

import corpus
import record_sums
import strings

HERE = pathlib.Path(__file__).parent / "fixtures"


def special(content, normalized=True):
    return {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False}


SD1 = {"tokenizer_config.json": {"add_prefix_space": False, "bos_token": {"__type": "AddedToken", **special("<|startoftext|>")},
                                 "do_lower_case": True, "eos_token": {"__type": "AddedToken", **special("<|endoftext|>")},
                                 "errors": "replace", "model_max_length": 77, "pad_token": "<|endoftext|>",
                                 "tokenizer_class": "CLIPTokenizer",
                                 "unk_token": {"__type": "AddedToken", **special("<|endoftext|>")}},
       "special_tokens_map.json": {"bos_token": special("<|startoftext|>"), "eos_token": special("<|endoftext|>"),
                                   "pad_token": "<|endoftext|>", "unk_token": special("<|endoftext|>")}}
SD2 = {name: {**content, "pad_token": "!"} for name, content in SD1.items()}


def vocabulary(merges):
    """The vocabulary that CLIP makes from its merges."""
    letters = list(bytes_to_unicode().values())
    tokens = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}


def small_merges():
    """Merges trained on words that are prepared as CLIP prepares them."""
    base = {token: index for index, token in enumerate(list(bytes_to_unicode().values()))}
    base["<|endoftext|>"] = len(base)
    shape = Tokenizer(models.BPE(base, [], unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    with tempfile.TemporaryDirectory() as folder:
        write(folder, files_of([], SD1))
        prepared = CLIPTokenizerFast.from_pretrained(folder)._tokenizer
    shape.normalizer, shape.pre_tokenizer = prepared.normalizer, prepared.pre_tokenizer
    shape.train_from_iterator(corpus.lines(), trainers.BpeTrainer(vocab_size=1500, end_of_word_suffix="</w>", show_progress=False,
                                                                  initial_alphabet=list(bytes_to_unicode().values())))
    letters = set(bytes_to_unicode().values())
    known = letters | {letter + "</w>" for letter in letters}
    merges = []
    for pair in json.loads(shape.to_str())["model"]["merges"]:
        assert set(pair) <= known, pair
        known.add("".join(pair))
        merges.append(pair)
    return merges


def files_of(merges, settings):
    return {"vocab.json": json.dumps(vocabulary(merges)), "merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges),
            **{name: json.dumps(content) for name, content in settings.items()}}


def write(folder, files):
    for name, content in files.items():
        (pathlib.Path(folder) / name).write_text(content)


def load(files):
    with tempfile.TemporaryDirectory() as folder:
        write(folder, files)
        return CLIPTokenizer.from_pretrained(folder), CLIPTokenizerFast.from_pretrained(folder)


def plain(text):
    """Nothing that the class in Python treats in its own way."""
    def odd(char):
        return (unicodedata.category(char).startswith("C") and char not in "\t\n\r" or char in "\ufffd\u180e" or "\u2e80" <= char <= "\u9fff"
                or "\uf900" <= char <= "\ufaff" or char >= "\U00020000" or char in "\u0345\u017f\u0130\u03a3")
    return not any(map(odd, text))


def main():
    raw = strings.strings()
    texts = [item.decode(errors="replace") for item in raw]
    cases = []

    def add(name, files, kept=None, **more):
        slow, fast = load(files)
        both = [text for text in texts if plain(text)]
        different = [text for text in both if slow(text).input_ids != fast(text).input_ids]
        print(name, len(both), "strings of both classes, different:", len(different), [ascii(t)[:60] for t in different[:9]])
        case = record_sums.record(fast, texts, True, lambda text: text.replace("</w>", " "))
        cases.append({"name": name, "files": files if kept is None else kept, **more, "pad": fast.pad_token_id, **case})
        return fast

    merges = small_merges()
    fast = add("clip-merges", files_of(merges, SD2))
    saved = {"tokenizer.json": fast._tokenizer.to_str(), **{name: json.dumps(content) for name, content in SD1.items()}}
    add("clip-json", {**files_of(merges, SD1), **saved}, saved)
    if len(sys.argv) > 1:
        published = pathlib.Path(sys.argv[1]) / "tokenizers/clip/bpe_simple_vocab_16e6.txt.gz"
        lines = gzip.open(published, "rt", encoding="utf-8").read().split("\n")[1:48895]
        settings = {name: json.dumps(content) for name, content in SD1.items()}
        add("real-clip", files_of([tuple(line.split()) for line in lines], SD1), settings, merge_list="tokenizers/clip")
    (HERE / "clip_cases.json.gz").write_bytes(gzip.compress(json.dumps(cases).encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
