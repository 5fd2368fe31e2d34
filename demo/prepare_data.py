"""Fetches the texts, trains both tokenizers and writes the training data: python prepare_data.py [--work DIR]

Needs apt-get and dpkg (Debian or a relative), libreadline8, and the Python packages in README.md. A minute on a CPU.
"""
import argparse
import gzip
import json
import random
from pathlib import Path

import numpy as np
import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPTNeoXTokenizerFast, LlamaTokenizerFast

import questions
import sources
from prompts import CHAT_TEMPLATE, END_KEY, INSTRUCTION_KEY, INTRO, RESPONSE_KEY, prompt

VERSE_VOCAB, INSTRUCT_VOCAB, WORDS = 2560, 2048, 2400


def verse(work, documents):
    """SentencePiece BPE with byte fallback, in both forms, and the documents as one array of ids for each split."""
    folder = work / "llama-verse"
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "verse.txt"
    text.write_text("\n".join(documents))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), model_type="bpe", vocab_size=VERSE_VOCAB,
        byte_fallback=True, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, character_coverage=0.9999, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        input_sentence_size=200000, shuffle_input_sentence=False, num_threads=2, minloglevel=1)
    (folder / "tokenizer.vocab").unlink()
    plain = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    fast = LlamaTokenizerFast(vocab_file=str(folder / "tokenizer.model"), legacy=True, add_prefix_space=True,
                              model_max_length=512)
    fast.save_pretrained(folder)
    for document in documents[::40]:
        if plain.encode(document, add_bos=True) != fast(document).input_ids:
            raise SystemExit("the two forms of the tokenizer disagree on: " + document[:200])
    order = random.Random(1).sample(range(len(documents)), len(documents))
    held = len(documents) // 25
    for name, part in (("val", order[:held]), ("train", order[held:])):
        ids = [id for at in part for id in plain.encode(documents[at], add_bos=True, add_eos=True)]
        np.save(folder / f"{name}.npy", np.array(ids, np.uint16))
        print(f"verse {name}: {len(part)} documents, {len(ids)} tokens")


def instruct_tokenizer(folder, facts):
    """Byte-level BPE in GPT-NeoX's form. Digits are kept out of the merges, so that sums see one token a digit."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=INSTRUCT_VOCAB - 4, special_tokens=["<|endoftext|>", "<|padding|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    lines = [text for kind, asks, answer in facts for text in (*asks, answer)
             if kind != "spelling" and not any(c.isdigit() for c in text)]
    tokenizer.train_from_iterator([INTRO + "\n\n"] * 50 + lines, trainer)
    fast = GPTNeoXTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, pad_token="<|endoftext|>")
    fast.add_special_tokens({"additional_special_tokens": [END_KEY, INSTRUCTION_KEY, RESPONSE_KEY]})
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder, save_jinja_files=False)
    return fast


def instruct(work, root):
    folder = work / "neox-instruct"
    folder.mkdir(parents=True, exist_ok=True)
    facts = questions.all_facts(root / "usr/share/wordnet", WORDS)
    tokenizer = instruct_tokenizer(folder, facts)
    if len(tokenizer) > INSTRUCT_VOCAB:
        raise SystemExit(f"{len(tokenizer)} tokens, the model has {INSTRUCT_VOCAB}")
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
    if rendered != prompt("Hi"):
        raise SystemExit("the chat template does not write the training prompt: " + rendered)
    train, wording, sums = questions.split(facts)
    with gzip.open(folder / "facts.json.gz", "wt", compresslevel=6) as file:
        json.dump({"train": train, "held_wording": wording, "held_sums": sums}, file)
    print(f"instruct: {len(train)} facts, {len(wording)} held wordings, {len(sums)} held sums, {len(tokenizer)} tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".data"))
    work = parser.parse_args().work
    root = sources.fetch(work)
    verse(work, sources.verse_documents(root))
    instruct(work, root)


if __name__ == "__main__":
    main()
