"""Fetches the emoji font and its names, renders the pictures, trains the tokenizer and writes scenes with prompts:
python prepare_emoji.py [--work DIR] [--scenes N]

Needs apt-get and dpkg (Debian or a relative), Pillow with raqm, and the Python packages in README.md. A few minutes on a CPU.
"""
import argparse
import json
import lzma
import random
import re
import subprocess
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

import emoji_scenes
from emoji_prompts import Writer

DEBIAN = ("fonts-noto-color-emoji", "unicode-cldr-core", "unicode-data")
SIDE, VOCAB, LENGTH, PROMPTS = 128, 4096, 77, 2
# CLIP's own splitting of text into words.
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
RARE = {"country-flag": 0.35, "subdivision-flag": 0.35, "keycap": 0.4, "alphanum": 0.4, "time": 0.5, "arrow": 0.5,
        "family": 0.5, "av-symbol": 0.5, "zodiac": 0.5}


def fetch(work):
    root = (work / "sources").resolve()
    if not (root / "done").exists():
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", *DEBIAN], cwd=root, check=True)
        for package in root.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, root], check=True)
        (root / "done").touch()
    return root / "usr/share"


def keywords(share):
    """CLDR's English keywords of each emoji, without variation selectors in the key."""
    found = {}
    for folder in ("annotations", "annotationsDerived"):
        for row in xml.parse(share / f"unicode/cldr/common/{folder}/en.xml").getroot().iter("annotation"):
            if row.get("type") != "tts":
                found[row.get("cp").replace("\ufe0f", "")] = [word.strip() for word in row.text.split("|")]
    return found


def spoken(name):
    """The ways to say a CLDR name; the first is the usual one."""
    name = name.lower().replace("“", "").replace("”", "").replace("’", "'")
    if name.startswith("flag: "):
        return [f"flag of {name[6:]}", f"{name[6:]} flag", name]
    if match := re.fullmatch(r"(.+): (\S+ ?\S* skin tone)", name):
        return [f"{match[1]} with {match[2]}", f"{match[1]}, {match[2]}", f"{match[2]} {match[1]}"]
    return [name.replace(": ", ", ")]


def emoji_list(share):
    """Every emoji of emoji-test.txt; of those with skin tones only the short ones, each with a fifth of the weight."""
    old = {int(row[0], 16): row[1].lower() for row in
           (line.split(";") for line in open(share / "unicode/UnicodeData.txt"))}
    words, found, group, subgroup = keywords(share), [], "", ""
    for line in open(share / "unicode/emoji/emoji-test.txt", encoding="utf-8"):
        if match := re.match(r"# (sub)?group: (.+)", line):
            group, subgroup = (group, match[2]) if match[1] else (match[2], subgroup)
        match = re.match(r"([0-9A-F ]+?) *; fully-qualified +# \S+ E[\d.]+ (.+)", line)
        if not match:
            continue
        codes, tone = [int(code, 16) for code in match[1].split()], "skin tone" in match[2]
        if tone and len(codes) > 3:
            continue
        names, bare = spoken(match[2].strip()), [code for code in codes if code != 0xFE0F]
        if len(bare) == 1 and old[bare[0]] not in names:
            names.append(old[bare[0]])
        text = "".join(map(chr, codes))
        found.append({"key": match[1], "text": text, "names": names, "group": group,
                      "keywords": [word.lower() for word in words.get(text.replace("\ufe0f", ""), []) if "skin tone" not in word],
                      "weight": 0.2 if tone else RARE.get(subgroup, 1.0)})
    return found


def render(share, found):
    """[N,128,128,4] bytes, straight alpha. The font's bitmaps are 136 by 128 with empty edges."""
    font = ImageFont.truetype(str(share / "fonts/truetype/noto/NotoColorEmoji.ttf"), 109, layout_engine=ImageFont.Layout.RAQM)
    pictures, kept = [], []
    for one in found:
        left, top, right, bottom = font.getbbox(one["text"])
        if right - left > 140:  # the font has no single picture for it
            continue
        image = Image.new("RGBA", (136, 128))
        ImageDraw.Draw(image).text((-left, -top), one["text"], font=font, embedded_color=True)
        pixels = np.asarray(image.crop((4, 0, 132, 128))).copy()
        pixels[pixels[..., 3] == 0] = 0
        if pixels[..., 3].any():
            pictures.append(pixels)
            kept.append(one)
    return np.stack(pictures), kept


def tokenizer(folder, prompts):
    """vocab.json and merges.txt in CLIP's order: bytes, bytes that end a word, merges, start, end."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    bpe.train_from_iterator(prompts, trainers.BpeTrainer(vocab_size=VOCAB - 2, end_of_word_suffix="</w>", show_progress=False,
                                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    merges = [tuple(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]][:VOCAB - 2 - 512]
    letters = list(bytes_to_unicode().values())
    tokens = letters + [letter + "</w>" for letter in letters] + ["".join(pair) for pair in merges]
    tokens = list(dict.fromkeys(tokens)) + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: at for at, token in enumerate(tokens)}, ensure_ascii=False), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), "utf-8")
    # As Stable Diffusion 2: padded with "!", which is id 0.
    clip = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token="!", model_max_length=LENGTH)
    clip.save_pretrained(folder)
    return clip


def encode(clip, prompts):
    """[N,77] ids, padded as the pipeline pads. Each word is split once."""
    known, split, start, end, pad = {}, re.compile(r"'s|[^\W\d_]+|\d|[^\s\w]+|_"), clip.bos_token_id, clip.eos_token_id, clip.pad_token_id
    rows = np.full((len(prompts), LENGTH), pad, np.uint16)
    for row, prompt in zip(rows, prompts):
        ids = [start]
        for word in split.findall(prompt):
            if word not in known:
                known[word] = clip(word, add_special_tokens=False).input_ids
            ids += known[word]
        ids = ids[:LENGTH - 1] + [end]
        row[:len(ids)] = ids
    for at in range(0, len(prompts), max(1, len(prompts) // 500)):
        whole = clip(prompts[at], padding="max_length", truncation=True, max_length=LENGTH).input_ids
        if whole != rows[at].tolist():
            raise SystemExit("words and prompt are split differently: " + prompts[at])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".data/emoji"))
    parser.add_argument("--scenes", type=int, default=300000)
    args = parser.parse_args()
    share = fetch(args.work)
    pictures, found = render(share, emoji_list(share))
    print(f"{len(found)} emoji", flush=True)
    with lzma.open(args.work / "pictures.xz", "wb", preset=9) as file:
        flat = emoji_scenes.halve(torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy())).numpy()
        flat[..., 1:] -= flat[..., :-1].copy()  # differences along a row pack better
        np.save(file, flat)
    (args.work / "emoji.json").write_text(json.dumps(found, ensure_ascii=False, indent=0), "utf-8")
    writer = Writer(found, random.Random(1))
    scenes = [writer.scene() for _ in range(args.scenes)]
    prompts = [writer.prompt(scene) for scene in scenes for _ in range(PROMPTS)]
    names = [name for one in found for name in one["names"] + one["keywords"]]
    clip = tokenizer(args.work / "tokenizer", names * 4 + prompts[:200000])
    ids = encode(clip, prompts)
    longest = int((ids != clip.pad_token_id).sum(1).max())
    np.savez_compressed(args.work / "scenes.npz", ids=ids.reshape(-1, PROMPTS, LENGTH)[..., :longest],
                        **{name: np.array([scene[name] for scene in scenes], np.int16) for name in scenes[0]})
    print(f"{len(scenes)} scenes, {len(clip)} tokens, longest prompt {longest}")
    print("\n".join(prompts[:40]))


if __name__ == "__main__":
    main()
