"""How pages in dumps and hibernation images are compressed. zlib is Python's; the others are the system's libraries.

Each call bounds its output by the size that the page can have.
"""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable
from functools import cache

from luksafe.errors import Unsupported

Decompress = Callable[[bytes, int], bytes]
"""Compressed bytes, and how many they may unpack to. Raises ``ValueError`` when they are damaged or make more."""

_LIBRARIES = {
    "lzo": ("liblzo2.so.2", "lzo1x_decompress_safe"),
    "lz4": ("liblz4.so.1", "LZ4_decompress_safe"),
    "snappy": ("libsnappy.so.1", "snappy_uncompress"),
    "zstd": ("libzstd.so.1", "ZSTD_decompress"),
}


def decompressor(name: str) -> Decompress:
    """The function for zlib, lzo, lz4, snappy or zstd. Raises ``Unsupported`` naming the library that is missing."""
    if name == "zlib":
        return _zlib
    function = _foreign(name)
    return {"lzo": _lzo, "lz4": _lz4, "snappy": _snappy, "zstd": _zstd}[name](function)


@cache
def _foreign(name: str) -> Callable[..., int]:
    library, symbol = _LIBRARIES[name]
    try:
        function = getattr(ctypes.CDLL(library), symbol)
    except (OSError, AttributeError) as error:
        raise Unsupported(
            f"the image is compressed with {name}, and {library} is not installed",
            hint=f"Install {library} (any distribution has it), or convert the image with the tool that made it.",
        ) from error
    function.restype = ctypes.c_size_t if name == "zstd" else ctypes.c_int
    found: Callable[..., int] = function
    return found


def _checked(buffer: ctypes.Array[ctypes.c_char], got: int, size: int) -> bytes:
    if not 0 <= got <= size:
        raise ValueError("a compressed page is damaged")
    return buffer.raw[:got]


def _zlib(data: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, size)
    except zlib.error as error:
        raise ValueError("a compressed page is damaged") from error


def _with_length(function: Callable[..., int], *more: None) -> Decompress:
    """For the libraries that give the size back through a pointer, and 0 for success."""

    def decompress(data: bytes, size: int) -> bytes:
        buffer, length = ctypes.create_string_buffer(size), ctypes.c_size_t(size)
        status = function(data, ctypes.c_size_t(len(data)), buffer, ctypes.byref(length), *more)
        return _checked(buffer, -1 if status else length.value, size)

    return decompress


def _lzo(function: Callable[..., int]) -> Decompress:
    return _with_length(function, None)


def _snappy(function: Callable[..., int]) -> Decompress:
    return _with_length(function)


def _lz4(function: Callable[..., int]) -> Decompress:
    def decompress(data: bytes, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        return _checked(buffer, function(data, buffer, len(data), size), size)

    return decompress


def _zstd(function: Callable[..., int]) -> Decompress:
    def decompress(data: bytes, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(size)
        got = function(buffer, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
        return _checked(buffer, got, size)

    return decompress
