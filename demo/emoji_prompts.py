"""Describes pictures in words: a scene (which emoji, where, how, on what) and the many ways to ask for it.

A scene is a dict of small integers; emoji_scenes.py paints the same integers. Everything here is drawn from a
random.Random, so the same seed gives the same prompts.
"""
import re
import zlib

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "black", "turquoise")
TINTS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
GREY = len(TINTS) + 1  # tint 0 is none, then TINTS, then shades of grey
PLACES = ("", "top left", "top right", "bottom left", "bottom right")
SCENES = {
    "meadow": ("in a meadow", "on the grass", "in a green field"),
    "desert": ("in the desert", "on the sand", "among sand dunes"),
    "sea": ("at sea", "on the water", "in the ocean"),
    "sunset": ("at sunset", "in front of a sunset", "in the evening"),
    "night": ("at night", "under the stars", "in the night sky"),
    "snow": ("in the snow", "in winter", "on a snowy day"),
    "underwater": ("under water", "underwater", "at the bottom of the sea"),
}
# Backgrounds in order: white, COLOURS plain, COLOURS striped with white, COLOURS dotted with white, SCENES.
PLAIN, STRIPED, DOTTED = 1, 1 + len(COLOURS), 1 + 2 * len(COLOURS)
SCENE = 1 + 3 * len(COLOURS)
BACKGROUNDS = SCENE + len(SCENES)
SINGLE, GIANT, SMALL, BESIDE, ABOVE, TWO, THREE = range(7)
LAYOUTS = {SINGLE: 0.61, GIANT: 0.05, SMALL: 0.10, BESIDE: 0.12, ABOVE: 0.05, TWO: 0.035, THREE: 0.035}
COLOUR_WORDS = set(COLOURS) | {"white", "gray", "golden", "dark", "light"}
IRREGULAR = {"man": "men", "woman": "women", "person": "people", "child": "children", "mouse": "mice", "foot": "feet",
             "fish": "fish", "sheep": "sheep", "leaf": "leaves", "wolf": "wolves", "knife": "knives", "tooth": "teeth"}


def held(key, aspect, value):
    """One in ten pairs of an emoji with an aspect's value (a background, a tint) is never trained on."""
    return value != 0 and zlib.crc32(f"{key}/{aspect}/{value}".encode()) % 10 == 0


def article(text):
    return ("an " if text[0] in "aeiou" else "a ") + text


def plural(name):
    """Of the head noun: what stands before "with", "of", "in", or the last word."""
    head, rest = re.match(r"(.+?)((?: (?:with|of|in|on|without|and)\b.*)?)$", name).groups()
    *first, word = head.split(" ")
    if word in IRREGULAR:
        word = IRREGULAR[word]
    elif re.search(r"(s|x|ch|sh)$", word):
        word += "" if word.endswith("s") else "es"
    elif re.search(r"[^aeiou]y$", word):
        word = word[:-1] + "ies"
    else:
        word += "s"
    return " ".join([*first, word]) + rest


def is_coloured(name):
    return bool(COLOUR_WORDS & set(re.findall(r"\w+", name)))


class Writer:
    """Draws scenes and their prompts from a list of emoji (dicts: key, names, keywords, group, weight)."""

    def __init__(self, emoji, rng):
        self.emoji, self.rng = emoji, rng
        self.weights = []
        total = 0.0
        for one in emoji:
            total += one["weight"]
            self.weights.append(total)

    def pick(self):
        return self.rng.choices(range(len(self.emoji)), cum_weights=self.weights)[0]

    def scene(self):
        """One that is not held out."""
        while True:
            scene = self.any_scene()
            first, second = self.emoji[scene["a"]]["key"], self.emoji[scene["b"]]["key"]
            if not (held(first, "background", scene["background"]) or held(first, "tint", scene["tint"])
                    or scene["layout"] in (BESIDE, ABOVE) and held(first, "beside", zlib.crc32(second.encode()))):
                return scene

    def any_scene(self):
        rng = self.rng
        a = self.pick()
        layout = rng.choices(list(LAYOUTS), LAYOUTS.values())[0]
        if layout in (TWO, THREE) and self.emoji[a]["group"] in ("Flags", "Symbols", "People & Body"):
            layout = SINGLE
        kind = rng.random()
        background = (0 if kind < 0.32 else rng.randrange(PLAIN, STRIPED) if kind < 0.62
                      else rng.randrange(STRIPED, SCENE) if kind < 0.72 else rng.randrange(SCENE, BACKGROUNDS))
        tint = 0
        if layout in (SINGLE, SMALL, TWO, THREE) and rng.random() < 0.22 and not is_coloured(self.emoji[a]["names"][0]):
            tint = rng.randrange(1, GREY + 1)
        return {"a": a, "b": self.pick() if layout in (BESIDE, ABOVE) else a, "layout": layout, "background": background,
                "tint": tint, "place": rng.choice((0, 0, 1, 2, 3, 4)) if layout == SMALL else 0,
                "turned": int(layout == SINGLE and rng.random() < 0.04)}

    def subject(self, at, scene, number="one", size=""):
        """A noun phrase for one emoji, by name or by keywords."""
        one, rng = self.emoji[at], self.rng
        name = rng.choices(one["names"], [4] + [1] * (len(one["names"]) - 1))[0]
        if number == "one" and len(one["keywords"]) >= 2 and rng.random() < 0.2:
            words = rng.sample(one["keywords"], min(len(one["keywords"]), rng.choice((2, 3))))
            name = rng.choice((" ", ", ")).join(words)
            plain = True
        else:
            plain = one["group"] in ("Flags", "Symbols") or name.endswith("s") or rng.random() < 0.45
        tint = scene["tint"]
        words = TINTS[tint - 1] if 0 < tint < GREY else rng.choice(("black and white", "grey", "colourless")) if tint else ""
        if number != "one":
            return " ".join(filter(None, (number, words, plural(name))))
        if words and rng.random() < 0.2:
            text = " ".join(filter(None, (size, name)))
            return (text if plain else article(text)) + rng.choice((" in ", ", ", " coloured ")) + words
        text = " ".join(filter(None, (size, words, name)))
        return text if plain else article(text)

    def content(self, scene):
        rng, layout = self.rng, scene["layout"]
        a = lambda **more: self.subject(scene["a"], scene, **more)
        b = lambda: self.subject(scene["b"], scene)
        if layout == BESIDE:
            return rng.choice(("{a} and {b}", "{a} and {b}", "{a} next to {b}", "{a} beside {b}", "{a} to the left of {b}",
                               "{b} to the right of {a}", "{a} on the left and {b} on the right")).format(a=a(), b=b())
        if layout == ABOVE:
            return rng.choice(("{a} above {b}", "{a} over {b}", "{a} on top of {b}", "{b} under {a}", "{b} below {a}")).format(
                a=a(), b=b())
        if layout in (TWO, THREE):
            return a(number=rng.choice(("two", "2", "a pair of") if layout == TWO else ("three", "3")))
        if layout == GIANT:
            return a(size=rng.choice(("big", "huge", "giant", "large")))
        if layout == SMALL:
            where = scene["place"] and rng.choice((" in the {} corner", " at the {}", " in the {}")).format(PLACES[scene["place"]])
            return a(size=rng.choice(("small", "tiny", "little"))) + (where or "")
        if scene["turned"]:
            return rng.choice(("upside down {}", "{} upside down", "{} turned upside down")).format(a())
        return a()

    def background(self, scene):
        rng, value = self.rng, scene["background"]
        if value == 0:
            return rng.choice(("on a white background", "on white")) if rng.random() < 0.15 else ""
        if value >= SCENE:
            return rng.choice(list(SCENES.values())[value - SCENE])
        colour = COLOURS[(value - 1) % len(COLOURS)]
        if value >= DOTTED:
            return rng.choice(("on {} dotted background", "on {} background with dots", "with {} polka dot background")).format(
                article(colour))
        if value >= STRIPED:
            return rng.choice(("on {} striped background", "on {} and white striped background", "with {} stripes")).replace(
                "with {}", "with " + colour).format(article(colour))
        return rng.choice(("on {} background", "on {} background", "with {} background", "against {} background",
                           "in front of {} wall")).format(article(colour)) if rng.random() < 0.75 else rng.choice(
            ("on {}", "{} background", "background {}")).format(colour)

    def prompt(self, scene):
        rng, content, background = self.rng, self.content(scene), self.background(scene)
        if background:
            content = rng.choices((f"{content} {background}", f"{content}, {background}", f"{background}, {content}",
                                   f"{background} {content}"), (6, 2, 1, 1))[0]
        if rng.random() < 0.25:
            content = rng.choice(("a picture of ", "a drawing of ", "an emoji of ", "emoji: ", "draw ")) + content
        return content
