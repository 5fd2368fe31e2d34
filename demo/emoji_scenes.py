"""Paints scenes (emoji_prompts.py says what the integers mean) from the rendered emoji, in batches on any device."""
import json
import lzma
import math
import random

import numpy as np
import torch
import torch.nn.functional as F

from emoji_prompts import (ABOVE, BACKGROUNDS, BESIDE, COLOURS, DOTTED, GIANT, GREY, PLAIN, SCENE, SCENES, SMALL, STRIPED,
                           THREE, TINTS, TWO)

SIDE, VARIANTS = 128, 8  # what is rendered at SIDE is kept and painted at half of it, which smooths edges
RGB = {"red": (214, 48, 49), "orange": (245, 145, 40), "yellow": (250, 214, 60), "green": (60, 170, 75), "blue": (50, 105, 215),
       "purple": (130, 70, 180), "pink": (245, 150, 190), "brown": (125, 85, 55), "grey": (140, 145, 150), "black": (20, 20, 22),
       "turquoise": (50, 195, 190)}
# Layout -> (scale, x, y) of each picture; the canvas reaches from -1 to 1.
SLOTS = {GIANT: [(1.25, 0, 0)], BESIDE: [(0.5, -0.49, 0), (0.5, 0.49, 0)], ABOVE: [(0.5, 0, -0.49), (0.5, 0, 0.49)],
         TWO: [(0.5, -0.49, 0), (0.5, 0.49, 0)], THREE: [(0.46, 0, -0.47), (0.46, -0.49, 0.46), (0.46, 0.49, 0.46)]}
CORNERS = ((0, 0), (-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))


def load(work):
    """Pictures [N,4,64,64] bytes (straight alpha), and the arrays of scenes.npz."""
    with lzma.open(work / "pictures.xz") as file:
        rows = np.load(file)
    np.add.accumulate(rows, axis=-1, dtype=np.uint8, out=rows)
    with np.load(work / "scenes.npz") as arrays:
        scenes = {name: torch.from_numpy(arrays[name].astype(np.int64)) for name in arrays.files}
    return torch.from_numpy(rows), scenes, json.loads((work / "emoji.json").read_text("utf-8"))


def gradient(top, bottom, start=0.0, end=1.0):
    """[3,128,128]: from one colour to another between two heights."""
    mix = ((torch.linspace(0, 1, SIDE) - start) / (end - start)).clamp(0, 1)
    column = torch.tensor(top)[:, None] * (1 - mix) + torch.tensor(bottom)[:, None] * mix
    return (column / 255)[:, :, None].expand(3, SIDE, SIDE).clone()


def dots(image, rng, count, radius, colour, top=0.0, bottom=1.0):
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    for _ in range(count):
        at_x, at_y, size = rng.uniform(0, SIDE), rng.uniform(top * SIDE, bottom * SIDE), rng.uniform(*radius)
        cover = (size + 0.5 - torch.hypot(x - at_x, y - at_y)).clamp(0, 1)
        image = image * (1 - cover) + torch.tensor(colour)[:, None, None] / 255 * cover
    return image


def ground(image, rng, colour, far, height):
    """A lower part whose edge is a low hill; `far` is its colour at the edge."""
    x = torch.linspace(0, 1, SIDE)
    edge = height + 0.03 * torch.sin(2 * math.pi * (x * rng.uniform(0.6, 1.2) + rng.uniform(0, 1)))
    cover = ((torch.linspace(0, 1, SIDE)[:, None] - edge) * SIDE + 0.5).clamp(0, 1)
    return image * (1 - cover) + gradient(far, colour, height, 1) * cover


def landscape(name, rng):
    if name == "meadow":
        return ground(gradient((110, 185, 245), (205, 232, 250), 0, 0.6), rng, (70, 150, 60), (125, 195, 85), 0.6)
    if name == "desert":
        return ground(gradient((245, 205, 130), (252, 232, 185), 0, 0.6), rng, (205, 150, 80), (232, 190, 115), 0.58)
    if name == "sea":
        return ground(gradient((150, 205, 245), (225, 240, 250), 0, 0.5), rng, (15, 70, 150), (45, 130, 200), 0.52)
    if name == "sunset":
        sky = torch.cat([gradient((90, 50, 130), (240, 110, 80), 0, 0.45)[:, :58], gradient((240, 110, 80), (255, 205, 90), 0.45, 0.8)[:, 58:]], 1)
        return ground(sky, rng, (45, 25, 45), (75, 35, 55), 0.8)
    if name == "night":
        return dots(gradient((10, 14, 45), (40, 50, 110)), rng, 40, (0.3, 1.3), (255, 250, 220))
    if name == "snow":
        image = ground(gradient((150, 175, 205), (215, 225, 238), 0, 0.6), rng, (250, 252, 255), (228, 236, 246), 0.64)
        return dots(image, rng, 35, (0.8, 2.0), (255, 255, 255))
    return dots(gradient((60, 190, 215), (8, 55, 120)), rng, 14, (1.5, 4.0), (165, 225, 240))


def backgrounds(seed=0):
    """[BACKGROUNDS,VARIANTS,3,128,128] from 0 to 1; only landscapes differ between variants."""
    rng = random.Random(seed)
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    stripes = ((torch.sin(math.pi * (x + y) / 16) * 5) + 0.5).clamp(0, 1)
    wheel = 8.5 - torch.hypot((x % 32) - 16, (y % 32) - 16)
    made = torch.ones(BACKGROUNDS, VARIANTS, 3, SIDE, SIDE)
    for at, name in enumerate(COLOURS):
        colour = (torch.tensor(RGB[name]) / 255)[:, None, None]
        made[PLAIN + at] = colour
        made[STRIPED + at] = 1 + (colour - 1) * stripes
        made[DOTTED + at] = colour + (1 - colour) * wheel.clamp(0, 1)
    for at, name in enumerate(SCENES):
        made[SCENE + at] = torch.stack([landscape(name, rng) for _ in range(VARIANTS)])
    return made


def halve(pictures):
    """Bytes [N,4,side,side] at half the side; colours weighted by alpha."""
    def half(part):
        alpha = part[:, 3:].float() / 255
        small = F.avg_pool2d(torch.cat([part[:, :3].float() * alpha, alpha * 255], 1), 2)
        small[:, :3] /= (small[:, 3:] / 255).clamp(min=1e-3)
        return small.round().clamp(0, 255).to(torch.uint8)
    return torch.cat([half(part) for part in pictures.split(256)])


class Painter:
    def __init__(self, pictures, device):
        self.device = device
        self.full = pictures.to(device)
        self.half = halve(self.full)
        painted = F.avg_pool2d(backgrounds().flatten(0, 1), 2).unflatten(0, (BACKGROUNDS, VARIANTS))
        self.backgrounds = (painted * 255).round().to(torch.uint8).to(device)
        self.tints = torch.tensor([RGB[name] for name in TINTS], device=device) / 255
        self.table = self.slot_table().to(device)

    @staticmethod
    def slot_table():
        """[layouts,places,3,(scale,x,y)]; a scale of 0 is an empty slot."""
        table = torch.zeros(7, len(CORNERS), 3, 3)
        for layout in range(7):
            for place, corner in enumerate(CORNERS):
                slots = SLOTS.get(layout) or [(0.46, *corner) if layout == SMALL else (0.86, 0, 0)]
                table[layout, place, :len(slots)] = torch.tensor(slots)
        return table

    def tinted(self, colour, tint):
        """Shades of one colour, or grey, by brightness; a tint of 0 leaves the picture."""
        light = (colour * torch.tensor([0.3, 0.59, 0.11], device=self.device)[:, None, None]).sum(1, keepdim=True)
        shade = self.tints[(tint - 1).clamp(0, len(TINTS) - 1)][:, :, None, None]
        ramp = torch.where(light < 0.5, shade * light * 2, shade + (1 - shade) * (light * 2 - 1))
        ramp = torch.where((tint == GREY)[:, None, None, None], light.expand_as(ramp), ramp)
        return torch.where((tint > 0)[:, None, None, None], ramp, colour)

    def slot(self, canvas, source, which, index, place, tint, turned):
        """Lays one picture over rows `which` of the canvas; `place` is [n,(scale,x,y)]."""
        scale, x, y = place.unbind(1)
        sign = 1.0 - 2.0 * turned
        theta = torch.zeros(len(which), 2, 3, device=self.device)
        theta[:, 0, 0], theta[:, 0, 2] = 1 / scale, -x / scale
        theta[:, 1, 1], theta[:, 1, 2] = sign / scale, -y * sign / scale
        picture = source[index].float() / 255
        picture = torch.cat([self.tinted(picture[:, :3], tint) * picture[:, 3:], picture[:, 3:]], 1)
        grid = F.affine_grid(theta, (len(which), 4, SIDE // 2, SIDE // 2), align_corners=False)
        laid = F.grid_sample(picture, grid, align_corners=False)
        canvas[which] = canvas[which] * (1 - laid[:, 3:]) + laid[:, :3]

    @torch.no_grad()
    def paint(self, scenes, rows, generator=None):
        """[n,3,64,64] from -1 to 1. Size and place vary a little (generator on the painter's device)."""
        one = {name: scenes[name][rows].to(self.device) for name in ("a", "b", "layout", "background", "tint", "place", "turned")}
        count = len(rows)
        uniform = lambda *shape: torch.rand(*shape, generator=generator, device=self.device) * 2 - 1
        variant = (uniform(count) * VARIANTS / 2 + VARIANTS / 2).long().clamp(0, VARIANTS - 1)
        canvas = self.backgrounds[one["background"], variant].float() / 255
        places = self.table[one["layout"], one["place"]]
        places = places * torch.tensor([1.0, 1, 1], device=self.device)
        used = places[..., 0] > 0
        places[..., 0] *= 1 + 0.03 * uniform(count, 1)
        places[..., 1:] += 0.02 * uniform(count, 1, 2)
        for at in range(3):
            index = one["b"] if at == 1 else one["a"]
            for source, fits in ((self.full, places[:, at, 0] >= 0.7), (self.half, places[:, at, 0] < 0.7)):
                which = (used[:, at] & fits).nonzero()[:, 0]
                if len(which):
                    self.slot(canvas, source, which, index[which], places[which, at], one["tint"][which], one["turned"][which])
        return canvas * 2 - 1
