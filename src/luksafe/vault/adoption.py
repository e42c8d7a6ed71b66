"""What may travel from a store that is not own: only what gains no trust by it (spec/vault.md, section 8)."""

from __future__ import annotations

from luksafe.vault.catalog import Catalog, Key
from luksafe.vault.name import PACKET, Kind, Name
from luksafe.vault.record import Device


def may_travel(catalog: Catalog, name: Name) -> bool:
    """Whether a file may be copied to stores that lack it, whoever wrote it where it is."""
    key = (name.volume, name.id)
    if name.kind is not Kind.RECORD and _is_held(catalog, name):
        return True  # its name tells what it holds, or it counts from own stores only
    if name.kind in PACKET:
        return any(_is_held(catalog, other) for other in catalog.names(key)) or not _is_known(catalog, key)
    if not catalog.is_foreign(key):
        return True
    if not _is_known(catalog, key):
        return True
    return catalog.is_followed(key) and catalog.stays_current(key)


def _is_held(catalog: Catalog, name: Name) -> bool:
    """Whether an own store has a file of this name."""
    return any(store.is_own for store in catalog.holders.get(name, ()))


def _is_known(catalog: Catalog, key: Key) -> bool:
    """Whether own stores say anything of its volume, or of the device that its record claims to be of."""
    said = (name for other in catalog.keys_of(key[0]) for name in catalog.names(other) if name.kind is not Kind.IMAGE)
    if any(_is_held(catalog, name) for name in said):
        return True
    record = catalog.record(key)
    claims = _claims(record.device) if record else set()
    others = (other for other in catalog.keys if claims and other[0] != key[0] and not catalog.is_foreign(other))
    return any((record := catalog.record(other)) and claims & _claims(record.device) for other in others)


def _claims(device: Device) -> set[str]:
    """All that would tie a record to a device that is here: its key, its link, its serial number and place on that."""
    key, start = device.partition.get("target_key"), device.partition.get("start")
    serial = f"serial {device.serial} from {start}" if device.serial else ""
    return {claim for claim in (f"key {key}" if key else "", device.by_id and f"link {device.by_id}", serial) if claim}
