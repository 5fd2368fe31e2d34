"""Trains small tokenizers, records what the reference libraries make of the strings.

    python record.py [DATA_DIR]

Writes fixtures/: the strings, the tokenizer files, and cases.json.gz with sums of ids and decoded
texts for blocks of strings. DATA_DIR may hold real tokenizers (tokenizers/, stories260k/), for
which only the sums are kept.
"""
import base64
import copy
import gzip
import io
import json
import os
import pathlib
import struct
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import sentencepiece
import transformers
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

import corpus
import strings
from record_sums import packed_ids, record, sums

HERE = pathlib.Path(__file__).parent / "fixtures"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
ODD = [AddedToken("<extra>", special=False), AddedToken("<left>", lstrip=True, normalized=False),
       AddedToken("<right>", rstrip=True, normalized=True), AddedToken("<both>", lstrip=True, rstrip=True, special=True),
       AddedToken("<word>", single_word=True, normalized=False), AddedToken("<Norm É>", normalized=True)]


def byte_level(pre_tokenizer, size=1200, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(corpus.lines(), trainer)
    return tokenizer


def split_then_bytes(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level_cases():
    neox = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizer=normalizers.NFC())
    neox.post_processor = processors.ByteLevel(trim_offsets=True)
    neox.add_special_tokens(["<|endoftext|>", "<|padding|>"])
    neox.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    yield "neox", neox, {"tokenizer_class": "GPTNeoXTokenizer", "add_prefix_space": False}

    gpt2 = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    gpt2.add_tokens(ODD)
    gpt2.add_special_tokens(["<|endoftext|>"])
    yield "gpt2-prefix", gpt2, {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": True,
                                "clean_up_tokenization_spaces": True, "eos_token": "<|endoftext|>"}

    llama3 = byte_level(split_then_bytes(LLAMA3))
    parsed = json.loads(llama3.to_str())
    parsed["model"]["ignore_merges"] = True
    vocabulary = parsed["model"]["vocab"]
    for token in ("Ġtenon", "Ġmortise", "unreachable", "ĠâĢľ"):  # words without merges
        vocabulary.setdefault(token, len(vocabulary))
    llama3 = Tokenizer.from_str(json.dumps(parsed))
    llama3.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    begin = llama3.token_to_id("<|begin_of_text|>")
    llama3.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                      special_tokens=[("<|begin_of_text|>", begin)])])
    yield "llama3", llama3, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>",
                             "eos_token": "<|eot_id|>", "clean_up_tokenization_spaces": True}

    qwen2 = byte_level(split_then_bytes(QWEN2), normalizer=normalizers.NFC())
    qwen2.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    yield "qwen2", qwen2, {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}

    o200k = byte_level(split_then_bytes(O200K))
    yield "o200k", o200k, None


def character_base():
    """BPE over characters with an unknown token, for the variants."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=["<unk>", "<pad>"], show_progress=False,
                                  initial_alphabet=["▁", " ", "\t", "\n"])
    tokenizer.train_from_iterator([line.replace(" ", "▁") for line in corpus.lines()] + list(corpus.lines()), trainer)
    return json.loads(tokenizer.to_str())


def part(component):
    return json.loads(component.__getstate__())


def variants():
    """Replacements of sections of the base, by name."""
    P, N, D = pre_tokenizers, normalizers, decoders
    behaviors = ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")
    yield "plain", {}
    yield "fuse", {"model": {"fuse_unk": True}}
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield form, {"normalizer": part(getattr(N, form)())}
    yield "lower", {"normalizer": part(N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase(), N.Strip()]))}
    yield "strip-left", {"normalizer": part(N.Sequence([N.Strip(left=True, right=False), N.Replace(Regex(r"\s+"), " "),
                                                       N.Replace("o", "00")]))}
    yield "prepend", {"normalizer": part(N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])),
                      "decoder": part(D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)]))}
    yield "whitespace", {"pre_tokenizer": part(P.Whitespace())}
    yield "whitespace-split", {"pre_tokenizer": part(P.WhitespaceSplit())}
    yield "digits", {"pre_tokenizer": part(P.Digits(individual_digits=False))}
    yield "digits-each", {"pre_tokenizer": part(P.Sequence([P.WhitespaceSplit(), P.Digits(individual_digits=True)]))}
    for behavior in behaviors:
        yield f"punctuation-{behavior}", {"pre_tokenizer": part(P.Punctuation(behavior))}
        yield f"split-{behavior}", {"pre_tokenizer": part(P.Split(Regex(r"\w+|\d"), behavior, invert=False))}
        yield f"split-inverted-{behavior}", {"pre_tokenizer": part(P.Split(Regex(r"[^\W\d]+|\S{2}"), behavior, invert=True))}
    yield "split-string", {"pre_tokenizer": part(P.Split("e", "merged_with_next"))}
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            yield f"metaspace-{scheme}-{split}", {
                "pre_tokenizer": part(P.Metaspace(prepend_scheme=scheme, split=split)),
                "decoder": part(D.Metaspace(prepend_scheme=scheme))}
    yield "decode-strip", {"decoder": part(D.Sequence([D.Strip("e", 1, 0), D.Replace(Regex("[aeiou]"), "_"), D.Fuse(),
                                                      D.Replace("__", "+"), D.Strip("_", 2, 0)]))}


def sentencepiece_model(kind):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for line in corpus.lines() if line.strip()), model_writer=out, model_type=kind,
        vocab_size=900, character_coverage=0.98, byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True, minloglevel=2,
        add_dummy_prefix=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, user_defined_symbols=["[INST]"], num_threads=1)
    return out.getvalue()


def compress(data):
    return gzip.compress(data, 9, mtime=0)


def with_files(files):
    """A transformers tokenizer of file contents, loaded as users load it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (pathlib.Path(folder) / name).write_bytes(content)
        return transformers.AutoTokenizer.from_pretrained(folder)


def main():
    raw = strings.strings()
    texts = [item.decode(errors="replace") for item in raw]
    HERE.mkdir(exist_ok=True)
    (HERE / "strings.gz").write_bytes(compress(b"".join(struct.pack("<I", len(item)) + item for item in raw)))
    cases = []

    def add(name, files=None, **more):
        print(name, flush=True)
        cases.append({"name": name, **more, **({"files": files} if files else {})})
        (HERE / "cases.json.gz").write_bytes(compress(json.dumps(cases).encode()))

    def text_files(tokenizer_json, config):
        files = {"tokenizer.json": tokenizer_json}
        if config is not None:
            files["tokenizer_config.json"] = json.dumps(config)
        return files

    for name, tokenizer, config in byte_level_cases():
        files = text_files(tokenizer.to_str(), config)
        loaded = (with_files({k: v.encode() for k, v in files.items()}) if config
                  else transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer))
        add(name, files, **record(loaded, texts, True))

    for kind in ("bpe", "unigram"):
        model = sentencepiece_model(kind)
        encoded = base64.b64encode(model).decode()
        if kind == "unigram":
            processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            # The library alone: without the tokens that are cut out of a text before it sees it, and without a
            # tie between segmentations of equal score, which its versions break differently.
            kept = [t for t in texts if not any(s in t for s in ("<s>", "</s>", "<unk>", "[INST]", "*******"))]
            add("spm-unigram", model=encoded, keep=len(kept), plain=sums([packed_ids(processor.encode(t)) for t in kept]))
            continue
        for legacy in (True, False):
            config = {"tokenizer_class": "LlamaTokenizer", "legacy": legacy, "add_bos_token": True, "add_eos_token": not legacy}
            loaded = with_files({"tokenizer.model": model, "tokenizer_config.json": json.dumps(config).encode()})
            sums_of = record(loaded, texts, True)
            label = "legacy" if legacy else "new"
            add(f"spm-bpe-{label}", {"tokenizer_config.json": json.dumps(config)}, model=encoded, **sums_of)
            add(f"llama2-fast-{label}", text_files(loaded._tokenizer.to_str(), config), **sums_of)

    data = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if data is not None:
        neox = transformers.PreTrainedTokenizerFast(tokenizer_file=str(data / "tokenizers/gpt-neox-20b/tokenizer.json"))
        add("real-neox", directory="tokenizers/gpt-neox-20b", **record(neox, texts, True))
        for legacy in (True, False):
            config = json.dumps({"tokenizer_class": "LlamaTokenizer", "legacy": legacy})
            llama = with_files({"tokenizer.model": (data / "tokenizers/llama2/tokenizer.model").read_bytes(),
                                "tokenizer_config.json": config.encode()})
            add(f"real-llama2-{'legacy' if legacy else 'new'}", {"tokenizer_config.json": config},
                directory="tokenizers/llama2", **record(llama, texts, True))
        stories = transformers.AutoTokenizer.from_pretrained(data / "stories260k/hf")
        add("real-stories260k", directory="stories260k/hf", **record(stories, texts, False))
    base = character_base()
    (HERE / "base.json.gz").write_bytes(compress(json.dumps(base).encode()))
    for name, sections in variants():
        document = copy.deepcopy(base)
        for key, value in sections.items():
            document[key] = {**document["model"], **value} if key == "model" else value
        tokenizer = Tokenizer.from_str(json.dumps(document))
        tokenizer.add_tokens(ODD)
        sections = {**sections, "added_tokens": json.loads(tokenizer.to_str())["added_tokens"]}
        loaded = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)
        swept = name in ("lower", "NFKC", "NFC", "NFD", "NFKD", "whitespace", "digits", "punctuation-isolated", "split-removed",
                         "split-inverted-removed")
        add("variant-" + name, sections=sections, **record(loaded, texts, swept))

    for file in sorted(HERE.iterdir()):
        print(file.name, file.stat().st_size)


main()
