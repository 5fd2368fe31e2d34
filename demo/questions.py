"""Makes the question and answer pairs of the instruction demo: words (from WordNet), sums, spelling, days and numbers.

Every fact is asked in several wordings; each wording of a fact may be held out, never the fact.
"""
import random
import re

BAD = re.compile(r"slur|offensive|derog|vulgar|obscen|disparag|sexual|genital|excre|intercourse|copulat|prostitut|negro|"
                 r"terroris|murder|suicid|drug|penis|breast", re.I)
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen").split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
PARTS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}

ABOUT = {
    ("Who are you?", "What are you?", "Tell me about yourself.", "What is your name?"):
        "I am a very small language model. I explain words and do simple sums.",
    ("What can you do?", "How can you help me?", "What can I ask you?"):
        "I can explain words, give examples and opposites, spell, count and do simple sums.",
    ("Hello", "Hello!", "Hi", "Good morning."): "Hello! Ask me about a word or a simple sum.",
    ("Thank you.", "Thanks!", "Thank you very much."): "You are welcome.",
    ("Goodbye.", "Bye!", "See you later."): "Goodbye! Come back with another word.",
    ("Name the days of the week.", "What are the days of the week?", "List the days of the week."):
        ", ".join(DAYS[:-1]) + " and Sunday.",
    ("Name the months of the year.", "What are the months of the year?", "List the months."):
        ", ".join(MONTHS[:-1]) + " and December.",
}


def article(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


class WordNet:
    """The part of the database files that the questions need."""

    def __init__(self, folder):
        self.synsets, self.index, self.counts = {}, {}, {}
        for part in ("noun", "verb", "adj"):
            for line in (folder / f"data.{part}").read_text().split("\n"):
                if line[:1].isdigit():
                    self.read_synset(line, part)
            for line in (folder / f"index.{part}").read_text().split("\n"):
                fields = line.split()
                if fields and line[0] != " ":
                    self.index[fields[0], part] = fields[-int(fields[2]):]
        for line in (folder / "cntlist.rev").read_text().split("\n"):
            key, sense, count = (line.split() + ["", "", ""])[:3]
            if "%" in key:
                word, kind = key.split("%")
                part = {"1": "noun", "2": "verb", "3": "adj", "5": "adj"}.get(kind[0])
                self.counts[word, part] = self.counts.get((word, part), 0) + int(count)

    def read_synset(self, line, part):
        head, gloss = line.split(" | ", 1)
        fields = head.split()
        count = int(fields[3], 16)
        words = [re.sub(r"\(.*\)", "", word) for word in fields[4:4 + 2 * count:2]]
        rest = fields[4 + 2 * count:]
        pointers = [tuple(rest[at:at + 4]) for at in range(1, 4 * int(rest[0]), 4)]
        self.synsets[fields[0], part] = {"words": words, "pointers": pointers, "gloss": gloss.strip()}


def clean_gloss(gloss):
    text = re.sub(r"\s*\([^)]*\)\s*", " ", gloss.split("; \"")[0].split(";")[0]).strip(" ;:,.")
    return re.sub(r"\s+", " ", text)


def examples(gloss, word):
    for text in re.findall(r'"([^"]+)"', gloss):
        if re.search(rf"\b{word}\b", text) and 12 <= len(text) <= 60 and text.isascii():
            yield text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def word_facts(net, limit):
    """(fact, its wordings, answer) for the commonest words, each with its commonest meaning only."""
    best = {}
    for (word, part), count in net.counts.items():
        if part and word.isalpha() and word.islower() and 3 <= len(word) <= 11 and count > best.get(word, (0,))[0]:
            best[word] = (count, part)
    chosen = 0
    for word, (count, part) in sorted(best.items(), key=lambda item: (-item[1][0], item[0])):
        synset = net.synsets.get((net.index.get((word, part), [""])[0], part))
        if not synset or BAD.search(synset["gloss"]) or word not in [w.lower() for w in synset["words"]]:
            continue
        meaning = clean_gloss(synset["gloss"])
        if not 8 <= len(meaning) <= 64 or not meaning.isascii() or re.search(rf"\b{word}\b", meaning):
            continue
        yield from facts_of(net, word, part, synset, meaning)
        chosen += 1
        if chosen == limit:
            return


def facts_of(net, word, part, synset, meaning):
    kind = {"noun": "noun", "verb": "verb", "adj": "adjective"}[part]
    yield "meaning", [f"What does the word {word} mean?", f"What does {word} mean?", f"Define {word}.",
                      f"Define the word {word}.", f"What is the meaning of {word}?", f"Explain the word {word}.",
                      f"Give me the definition of {word}."], f"The {kind} {word} means: {meaning}."
    yield "part", [f"What part of speech is {word}?", f"Is {word} a noun, a verb or an adjective?",
                   f"Which part of speech is the word {word}?"], f"The word {word} is {article(kind)}."
    for example in list(examples(synset["gloss"], word))[:1]:
        yield "example", [f"Use {word} in a sentence.", f"Give an example of the word {word}.",
                          f"Write a sentence with the word {word}.", f"Show me how {word} is used."], example
    others = [w.replace("_", " ") for w in synset["words"] if w.lower() != word and w.islower()]
    if others:
        yield "synonym", [f"Give a synonym of {word}.", f"What is another word for {word}?",
                          f"Which word means the same as {word}?"], f"Another word for {word} is {others[0]}."
    for symbol, offset, _, words in synset["pointers"]:
        source, target = int(words[:2], 16), int(words[2:], 16)
        other = net.synsets.get((offset, part))
        if symbol == "!" and other and synset["words"][source - 1].lower() == word:
            opposite = other["words"][target - 1]
            yield "opposite", [f"What is the opposite of {word}?", f"Give the opposite of {word}.",
                               f"Which word is the opposite of {word}?"], f"The opposite of {word} is {opposite}."
            break
    for symbol, offset, _, _ in synset["pointers"]:
        other = net.synsets.get((offset, part))
        if symbol == "@" and part == "noun" and other and "entity" not in other["words"][0]:
            above = other["words"][0].replace("_", " ")
            yield "kind", [f"What kind of thing is {article(word)}?", f"What is {article(word)} a kind of?",
                           f"To which class of things does {word} belong?"], f"The noun {word} names a kind of {above}."
            break
    yield "spelling", [f"Spell {word}.", f"Spell the word {word}.", f"How do you spell {word}?"], "-".join(word) + "."


def in_words(number):
    if number < 20:
        return ONES[number]
    if number == 100:
        return "one hundred"
    return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")


def sum_facts():
    forms = {"+": ("plus", "add {a} and {b}"), "-": ("minus", "subtract {b} from {a}"), "*": ("times", "multiply {a} by {b}")}
    for sign, (name, verb) in forms.items():
        for a in range(100 if sign != "*" else 13):
            for b in range(100 if sign == "+" else a + 1 if sign == "-" else 13):
                result = a + b if sign == "+" else a - b if sign == "-" else a * b
                asks = [f"What is {a} {name} {b}?", f"What is {a} {sign} {b}?", f"Calculate {a} {sign} {b}.",
                        f"How much is {a} {name} {b}?", verb.format(a=a, b=b).capitalize() + "."]
                yield "sum", asks, f"{a} {name} {b} is {result}."


def other_facts():
    for asks, answer in ABOUT.items():
        yield "about", list(asks), answer
    for names, unit in ((DAYS, "day"), (MONTHS, "month")):
        for i, name in enumerate(names):
            after, before = names[(i + 1) % len(names)], names[i - 1]
            yield "order", [f"What {unit} comes after {name}?", f"Which {unit} follows {name}?",
                            f"What is the {unit} after {name}?"], f"{after} comes after {name}."
            yield "order", [f"What {unit} comes before {name}?", f"Which {unit} is before {name}?",
                            f"What is the {unit} before {name}?"], f"{before} comes before {name}."
    for number in range(101):
        yield "number", [f"Write {number} in words.", f"How do you write {number} in words?",
                         f"Write the number {number} as a word."], f"{number} is {in_words(number)}."
    for a in range(0, 100, 3):
        for b in range(1, 100, 7):
            if a != b:
                yield "compare", [f"Which is larger, {a} or {b}?", f"Which number is greater, {a} or {b}?"], \
                    f"{max(a, b)} is larger than {min(a, b)}."


def all_facts(wordnet_folder, words):
    return [*word_facts(WordNet(wordnet_folder), words), *sum_facts(), *other_facts()]


def split(facts, seed=1):
    """Training pairs and two held-out sets: one wording of a tenth of the word facts, and a tenth of the sums entire."""
    rng = random.Random(seed)
    train, wording, sums = [], [], []
    for kind, asks, answer in facts:
        if kind in ("sum", "compare") and rng.random() < 0.1:
            sums.append((kind, rng.choice(asks), answer))
        elif len(asks) > 2 and rng.random() < 0.1:
            held = rng.choice(asks)
            wording.append((kind, held, answer))
            train.append((kind, [ask for ask in asks if ask != held], answer))
        else:
            train.append((kind, asks, answer))
    return train, wording, sums
