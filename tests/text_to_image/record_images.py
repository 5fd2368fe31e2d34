"""Writes small pictures in many forms with Pillow, what Pillow reads from them, and what it makes of them when resizing.

    python record_images.py

Writes images/: the files, and expected.npz: pixels by file name, resized ones as "NAME@WIDTHxHEIGHT".
"""
import pathlib

import numpy as np
import PIL
from PIL import Image, ImageOps, PngImagePlugin

HERE = pathlib.Path(__file__).parent / "images"
SIZES = [(64, 48), (16, 24), (29, 23), (7, 100), (1, 1), (58, 23), (29, 5)]


def picture(width, height, channels, seed=0):
    """Smooth colours with an edge and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 120 * np.sin(x / (3 + c) + c) * np.cos(y / (4 + c)) + rng.normal(0, 8, (height, width)) for c in range(channels)]
    planes[0] += 90 * (x > width // 2)
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8).squeeze()


def main():
    HERE.mkdir(exist_ok=True)
    rgb, rgba, gray = (Image.fromarray(picture(29, 23, c, c)) for c in (3, 4, 1))
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a café\nNegative prompt: rain\nSteps: 4, Sampler: ddim")
    texts.add_text("Title", "木の家")
    texts.add_text("zipped", "many words " * 40, zip=True)
    exif = Image.Exif()
    save = lambda image, name, **options: image.save(HERE / name, **options)
    save(rgb, "rgb.png", pnginfo=texts)
    save(rgba, "rgba.png")
    save(gray, "gray.png")
    save(rgb.quantize(16), "palette.png")
    save(rgb.quantize(16), "palette-transparent.png", transparency=3)
    save(gray.convert("1"), "bits.png")
    save(Image.merge("LA", (gray, rgba.getchannel("A"))), "gray-alpha.png")
    save(rgb, "rgb.jpg", quality=90)
    save(gray, "gray.jpg", quality=75)
    save(rgb, "progressive.jpg", quality=60, progressive=True)
    save(rgb.convert("CMYK"), "inks.jpg")
    for orientation in range(2, 9):
        exif[0x112] = orientation
        save(rgb, f"turned-{orientation}.jpg", quality=85, exif=exif)
    save(rgb, "lossless.webp", lossless=True)
    save(rgb, "lossy.webp", quality=80)
    save(rgba, "alpha.webp", lossless=True, exact=True)
    save(rgb, "animation.webp", save_all=True, append_images=[rgba.convert("RGB")], lossless=True)
    expected = {}
    for path in sorted(HERE.iterdir()):
        if path.suffix == ".npz" or path.name in ("inks.jpg", "animation.webp"):
            continue
        image = ImageOps.exif_transpose(Image.open(path))
        if image.mode in ("P", "LA"):
            image = image.convert("RGBA" if "transparency" in image.info or image.mode == "LA" else "RGB")
        image = image.convert("L") if image.mode == "1" else image
        expected[path.name] = np.asarray(image)
    for name, image in (("rgb.png", rgb), ("rgba.png", rgba), ("gray.png", gray)):
        for size in SIZES:
            expected[f"{name}@{size[0]}x{size[1]}"] = np.asarray(image.resize(size, Image.LANCZOS))
    expected["rgb.png@gray"] = np.asarray(rgb.convert("L"))
    expected["rgba.png@rgb"] = np.asarray(rgba.convert("RGB"))
    np.savez_compressed(HERE / "expected.npz", **expected)
    print("Pillow", PIL.__version__, sum(p.stat().st_size for p in HERE.iterdir()), "bytes")


main()
