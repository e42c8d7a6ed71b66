"""A short run of the JSON text overwritten: filled with words of the format, or with all texts of its length."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator

from luksafe.luks.luks2.binary_header import BINARY_BYTES
from luksafe.luks.repair.checksum_judge import ChecksumJudge
from luksafe.luks.repair.effort import Effort

_PRINTABLE = frozenset(range(0x20, 0x7F))
_ALPHABET = (string.digits + string.ascii_letters + '"+/=,:{}[]-_').encode()
"""The characters of headers as cryptsetup writes them."""
_MOST_RUN_BYTES = 64
_MOST_TRIED_BYTES = 3
_FRAGMENTS = tuple(
    fragment.encode()
    for fragment in (
        '{"keyslots":{"0":{"type":"luks2","key_size":64,"af":{"type":"luks1","stripes":4000,"hash":"sha256"},'
        '"area":{"type":"raw","offset":"32768","size":"258048","encryption":"aes-xts-plain64","key_size":64},'
        '"kdf":{"type":"argon2id","time":4,"memory":1048576,"cpus":4,"salt":"',
        '{"type":"luks2","key_size":32,"af":{"type":"luks1","stripes":4000,"hash":"sha256"},'
        '"area":{"type":"raw","offset":"32768","size":"131072","encryption":"aes-xts-plain64","key_size":32},'
        '"kdf":{"type":"pbkdf2","hash":"sha256","iterations":1000,"salt":"',
        '"kdf":{"type":"argon2i","time":4,"memory":1048576,"cpus":4,"salt":"',
        '="}}},"tokens":{},"segments":{"0":{"type":"crypt","offset":"16777216","size":"dynamic","iv_tweak":"0",'
        '"encryption":"aes-xts-plain64","sector_size":512}},"digests":{"0":{"type":"pbkdf2","keyslots":["0"],'
        '"segments":["0"],"hash":"sha256","iterations":100000,"salt":"',
        '="}},"config":{"json_size":"12288","keyslots_size":"16744448"}}',
        '"sector_size":4096}},"digests":{"0":{"type":"pbkdf2","keyslots":["0","1"],"segments":["0"],',
        '"keyslots_size":"16744448","flags":["allow-discards","no-read-workqueue","no-write-workqueue"]}}',
        '"config":{"json_size":"12288","keyslots_size":"16744448","requirements":{"mandatory":["online-reencrypt-v2"]}',
    )
)
_LEAST_CONTEXT = 3
"""So many bytes beside the run must agree with a fragment."""


def foreign_run(area: bytes, text_end: int) -> tuple[int, int] | None:
    """The run of bytes that no JSON text has, ``[start, end)``; None when there is none or it is long."""
    end = len(area[:text_end].rstrip(b"\0"))
    foreign = [at for at in range(BINARY_BYTES, end) if area[at] not in _PRINTABLE]
    if not foreign or foreign[-1] + 1 - foreign[0] > _MOST_RUN_BYTES:
        return None
    return foreign[0], foreign[-1] + 1


def fill_run(judge: ChecksumJudge, text_end: int, effort: Effort) -> bytes | None:
    """The area with the overwritten run filled so that the checksum holds; None when no text does.

    The run is where the bytes are no text; it may reach a byte or two further, where chance made them text.
    """
    run = foreign_run(judge.area, text_end)
    if run is None:
        return None
    for before, after in itertools.product(range(3), range(3)):
        start, end = max(BINARY_BYTES, run[0] - before), min(len(judge.area), run[1] + after)
        for text in _fragment_texts(judge.area, start, end):
            if judge.accepts(start, text):
                return judge.area[:start] + text + judge.area[end:]
    return _try_all_texts(judge, run, effort)


def _fragment_texts(area: bytes, start: int, end: int) -> Iterator[bytes]:
    """What would stand in a run if a fragment of the format lay over it that agrees on one side at least."""
    length, seen = end - start, set()
    before, after = area[start - _LEAST_CONTEXT : start], area[end : end + _LEAST_CONTEXT]
    for fragment in _FRAGMENTS:
        for at in range(len(fragment) - length + 1):
            text = fragment[at : at + length]
            fits = (
                fragment[max(0, at - _LEAST_CONTEXT) : at] == before
                or fragment[at + length : at + length + _LEAST_CONTEXT] == after
            )
            if fits and text not in seen:
                seen.add(text)
                yield text


def _try_all_texts(judge: ChecksumJudge, run: tuple[int, int], effort: Effort) -> bytes | None:
    start, end = run
    if end - start > _MOST_TRIED_BYTES:
        return None
    total = len(_ALPHABET) ** (end - start)
    for done, values in enumerate(itertools.product(_ALPHABET, repeat=end - start)):
        if done % 4096 == 0 and not effort.goes_on("an overwritten run", done, total):
            return None
        if judge.accepts(start, bytes(values)):
            return judge.area[:start] + bytes(values) + judge.area[end:]
    return None
