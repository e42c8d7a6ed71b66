"""Compressors to make images with: the system's libraries, through ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest


def _library(name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name)
    except OSError:
        pytest.skip(f"{name} is not installed")


def _lzo(data: bytes) -> bytes:
    out, size = ctypes.create_string_buffer(len(data) * 2 + 100), ctypes.c_size_t()
    work = ctypes.create_string_buffer(16384 * 8)
    assert (
        _library("liblzo2.so.2").lzo1x_1_compress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(size), work) == 0
    )
    return out.raw[: size.value]


def _zstd(data: bytes) -> bytes:
    library = _library("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(data) * 2 + 100)
    size = library.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:size]


def _lz4(data: bytes) -> bytes:
    out = ctypes.create_string_buffer(len(data) * 2 + 100)
    size = _library("liblz4.so.1").LZ4_compress_default(data, out, len(data), len(out))
    return out.raw[:size]


def _snappy(data: bytes) -> bytes:
    out, size = ctypes.create_string_buffer(len(data) * 2 + 100), ctypes.c_size_t(len(data) * 2 + 100)
    assert _library("libsnappy.so.1").snappy_compress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(size)) == 0
    return out.raw[: size.value]


def compressor(name: str) -> Callable[[bytes], bytes]:
    """The function for this codec; skips where its library is missing."""
    compress = {"lzo": _lzo, "zstd": _zstd, "lz4": _lz4, "snappy": _snappy}[name]
    compress(b"probe")
    return compress
