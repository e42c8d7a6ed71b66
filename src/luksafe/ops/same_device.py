"""Whether a device is the one that a packet or a backup was made of: what proves a key says nothing of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from luksafe.device.identity import DeviceFacts
from luksafe.vault.record import Device

MAY_DIFFER = ("target_key",)
"""A partition is known by another key where udev is missing."""


@dataclass(frozen=True, slots=True)
class DeviceMatch:
    """``is_other``: something differs. ``is_same``: nothing does, and something that no other device has is equal."""

    text: str
    is_other: bool = False
    is_same: bool = False


def compare_device(of: str, recorded: Mapping[str, str | int], facts: DeviceFacts) -> DeviceMatch:
    """The device at hand, and what ``of`` (a packet, a backup) says of its own."""
    now = {
        "serial": facts.serial,
        "wwn": facts.wwn,
        "partuuid": facts.partition.uuid if facts.partition else "",
        "target_key": lasting_key(facts),
    }
    both = [name for name in now if now[name] and recorded.get(name)]
    same = [name for name in both if recorded[name] == now[name]]
    other = [f"{n} {recorded[n]}, not {now[n]}" for n in both if n not in same and n not in MAY_DIFFER]
    if recorded.get("size_bytes", facts.size_bytes) != facts.size_bytes:
        other.append(f"{recorded['size_bytes']} bytes, not {facts.size_bytes}")
    if other:
        return DeviceMatch(f"{of} was made of a device with {'; '.join(other)}", is_other=True)
    if same:
        return DeviceMatch(f"{facts.path} has the {' and '.join(same)} that {of} names", is_same=True)
    return DeviceMatch(
        f"nothing tells {facts.path} from another device of {facts.size_bytes} bytes: {of} names no serial number, "
        "WWN or PARTUUID of it"
    )


def lasting_key(facts: DeviceFacts) -> str:
    """The target key where it belongs to what is on the device or to its hardware, not to a name or a slot."""
    return "" if facts.target_key.startswith(("file:", "slot:")) else facts.target_key


def compare_recorded(of: str, device: Device, facts: DeviceFacts) -> DeviceMatch | None:
    """The device at hand, and the one in the record of a backup; None where the record names none (an import)."""
    if not device.size:
        return None
    texts = {"partuuid": device.partition.get("uuid"), "target_key": device.partition.get("target_key")}
    recorded: dict[str, str | int] = {"size_bytes": device.size, "serial": device.serial}
    recorded |= {key: text for key, text in texts.items() if isinstance(text, str)}
    return compare_device(of, recorded, facts)
