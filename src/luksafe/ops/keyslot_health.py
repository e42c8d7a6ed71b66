"""Whether the key material of a keyslot can still be whole, judged by statistics: it must look like random bytes."""

from __future__ import annotations

from collections.abc import Sequence

from luksafe.luks.key_material import material_range
from luksafe.luks.model import Header, Keyslot
from luksafe.luks.weaknesses import is_in_the_clear
from luksafe.ops.diagnosis.bytes_compare import not_random
from luksafe.reader import Reader


def destroyed_keyslots(reader: Reader, header: Header) -> tuple[int, ...]:
    """The keyslots with a sector that cannot be key material (zeros, text, structures), or that lie beyond the end."""
    return tuple(k.id for k in header.keyslots.values() if _is_destroyed(reader, header, k))


def destroyed_words(slots: Sequence[int], what: str) -> str:
    """That these keyslots of ``what`` open nothing any more."""
    return f"the key material of keyslot {', '.join(map(str, slots))} of {what} is destroyed: no passphrase opens it"


def _is_destroyed(reader: Reader, header: Header, keyslot: Keyslot) -> bool:
    material = material_range(keyslot)
    if material is None:
        return False
    start, end = material
    try:
        data = reader.read_at(header.offset + start, end - start)
    except OSError:
        return True
    if len(data) < end - start:
        return True
    return not is_in_the_clear(keyslot) and bool(not_random(data, (0, len(data))))
