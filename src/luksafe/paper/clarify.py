"""Ways to make codes readable in a bad scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from luksafe.paper.optional import load
from luksafe.paper.picture import MAX_PIXELS, Image


def _as_it_is(image: Image) -> Image:
    return image


def _even_light(image: Image) -> Image:
    """Shadows and stains flattened: each pixel compared with its wider surroundings."""
    chops: Any = load("PIL.ImageChops")
    filters: Any = load("PIL.ImageFilter")
    around = image.filter(filters.BoxBlur(max(image.width, image.height) // 60 + 1))
    return _contrast(chops.subtract(image, around, scale=1.0, offset=128))


def _half(image: Image) -> Image:
    return _resized(image, 0.5)


def _denoised(image: Image) -> Image:
    return _contrast(image.filter(load("PIL.ImageFilter").MedianFilter(3)))


def _sharpened(image: Image) -> Image:
    return _resized(image, 2.0).filter(load("PIL.ImageFilter").UnsharpMask(radius=4, percent=200, threshold=0))


def _magnified(image: Image) -> Image:
    """Grain smoothed, light evened, then twice as large: reads most of what nothing else does."""
    return _resized(_even_light(image.filter(load("PIL.ImageFilter").GaussianBlur(1))), 2.0)


def _turned(image: Image) -> Image:
    return image.rotate(30, expand=True, fillcolor=255)


def _smoothed(image: Image) -> Image:
    return _contrast(_resized(image, 1.5).filter(load("PIL.ImageFilter").GaussianBlur(2)))


WAYS: tuple[Callable[[Image], Image], ...] = (
    _as_it_is,
    _half,
    _even_light,
    _magnified,
    _smoothed,
    _sharpened,
    _denoised,
    _turned,
)
"""Ways to make codes readable in a gray picture; quick ones first, then by how often they helped with bad scans."""


def _contrast(image: Image) -> Image:
    return load("PIL.ImageOps").autocontrast(image, cutoff=2)


def _resized(image: Image, factor: float) -> Image:
    pil: Any = load("PIL.Image")
    factor = min(factor, (MAX_PIXELS / (image.width * image.height)) ** 0.5)
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    return image.resize(size, pil.Resampling.LANCZOS)
