"""Linux swap space and hibernation images in it (kernel ``include/linux/swap.h``, union swap_header)."""

from __future__ import annotations

from functools import partial
from typing import Literal

from luksafe.probe.recognised import Kind, Recognised
from luksafe.probe.structure import Structure
from luksafe.probe.volume import MismatchError, Volume

PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)
SIGNATURE_BYTES = 10
HEADER_OFFSET = 1024
SWAP_VERSIONS = {b"SWAP-SPACE": "0", b"SWAPSPACE2": "1"}
SUSPENDED = (b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001")

TUXONICE_MAGIC = bytes.fromhex("edc302e99856e50c")
"""In front of the swap signature that it leaves: the image of a suspended system, not free swap."""


def signature_page(volume: Volume, page_size: int) -> Recognised:
    """The first page, with the signature in its last ten bytes and the header at 1024 in either byte order."""
    s = Structure(volume, 0, page_size)
    at = page_size - SIGNATURE_BYTES
    found = s.data[at:]
    if found not in SWAP_VERSIONS and found not in SUSPENDED:
        raise MismatchError("no swap signature")
    s.magic(at, found, "signature")
    version = SWAP_VERSIONS.get(found, "")
    if s.data.startswith(TUXONICE_MAGIC):
        s.magic(0, TUXONICE_MAGIC, "TuxOnIce")
        uuid = s.uuid(HEADER_OFFSET + 12)
        return s.recognised("swsuspend", Kind.SWAP, uuid=uuid, version="tuxonice", geometry={"page_size": page_size})
    if version == "0":
        return s.recognised("swap", Kind.SWAP, version=version, geometry={"page_size": page_size})
    order: Literal["little", "big"] = "little" if s.data[HEADER_OFFSET] else "big"
    s = Structure(volume, 0, page_size, order)
    s.magic(at, found, "signature")
    if version:
        s.among(HEADER_OFFSET, 4, (1,), "version")
    pages, bad_pages = s.u32(HEADER_OFFSET + 4) + 1, s.u32(HEADER_OFFSET + 8)
    s.note(f"{pages} pages of {page_size}, {bad_pages} bad")
    return s.recognised(
        "swap" if version else "swsuspend",
        Kind.SWAP,
        label=s.text(HEADER_OFFSET + 28, 16),
        uuid=s.uuid(HEADER_OFFSET + 12),
        version=version,
        size_bytes=pages * page_size,
        geometry={"page_size": page_size},
    )


PROBES = tuple(partial(signature_page, page_size=size) for size in PAGE_SIZES)
