"""What each store held when it was last here, and when each volume was: what is in a drawer counts, with its date
(spec/vault.md, section 8)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from luksafe.errors import DamagedInput, NotFound, StoreError
from luksafe.vault.document import Open, decode_document, encode_document, from_json, to_json
from luksafe.vault.folder import Folder

MAX_SEEN_BYTES = 64 << 20

_FOLDER = "seen"
_VOLUMES = f"{_FOLDER}/volumes.json"


class Seen(Open, frozen=True, kw_only=True):
    """The last sight of a store: ``when`` it was here, and when each backup that was whole in it was last read."""

    store: str
    name: str = ""
    when: str = ""
    intact: dict[str, str] = msgspec.field(default_factory=dict)


class SeenVolumes(Open, frozen=True, kw_only=True):
    """When each volume, by its UUID, was last found on this machine."""

    volumes: dict[str, str] = msgspec.field(default_factory=dict)


def read_volumes(home: Folder) -> dict[str, str]:
    """When each volume was last here, by UUID; nothing when the memory is lost or damaged."""
    try:
        data = decode_document(home.read(_VOLUMES, MAX_SEEN_BYTES), MAX_SEEN_BYTES)
        return from_json(SeenVolumes, data).volumes
    except (NotFound, DamagedInput, StoreError):
        return {}


def remember_volumes(home: Folder, uuids: Iterable[str], when: str) -> None:
    """Note that these volumes were here. Raises ``StoreError`` when the vault cannot be written to."""
    with home.locked(_FOLDER):
        seen = SeenVolumes(volumes=read_volumes(home) | dict.fromkeys(uuids, when))
        home.replace(_VOLUMES, encode_document(to_json(seen), MAX_SEEN_BYTES))


def read_seen(home: Folder, store_id: str) -> Seen:
    """What is remembered of a store; nothing when the memory is lost or damaged."""
    try:
        return from_json(Seen, decode_document(home.read(f"{_FOLDER}/{store_id}.json", MAX_SEEN_BYTES), MAX_SEEN_BYTES))
    except (NotFound, DamagedInput, StoreError):
        return Seen(store=store_id)


def remember(home: Folder, store_id: str, name: str, when: str, intact: Iterable[str], *, everything: bool) -> None:
    """Note that these backups were read in a store and found whole; with ``everything``, that no others are.

    Raises ``StoreError`` when the vault cannot be written to.
    """
    with home.locked(_FOLDER):
        seen = read_seen(home, store_id)
        now_intact = dict.fromkeys(intact, when)
        if not everything:
            now_intact = seen.intact | now_intact
        seen = msgspec.structs.replace(seen, name=name, when=when, intact=now_intact)
        home.replace(f"{_FOLDER}/{store_id}.json", encode_document(to_json(seen), MAX_SEEN_BYTES))
