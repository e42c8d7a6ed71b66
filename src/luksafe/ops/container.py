"""A file that holds a disk in another form: a header written to its start would destroy it."""

from __future__ import annotations

from collections.abc import Iterator

from luksafe.device.source import DeviceReader
from luksafe.errors import Refused
from luksafe.ops.write.plan import Danger
from luksafe.probe.container import GZIP, Container, recognise_container


def container_of(reader: DeviceReader) -> Container | None:
    """What packs the bytes of this file; also where the reader shows them unpacked."""
    return GZIP if reader.kind == "packed" else recognise_container(reader)


def container_dangers(container: Container | None, device: str) -> Iterator[Danger]:
    """The danger of a write to the start of a container, which is hardly ever meant."""
    if container is not None:
        text = f"{device} is {container.text}: its own header is at its start, and would be destroyed"
        yield Danger("container", text, f"--over {container.name}", "unpack it first: luksafe diagnose says how")


def require_bare(reader: DeviceReader) -> None:
    """Raises Refused for a container: what is repaired are the bytes of a disk."""
    container = container_of(reader)
    if container is not None:
        raise Refused(
            f"{reader.path} is {container.text}: unpack it first",
            code="container",
            hint=f"the command: luksafe diagnose {reader.path}",
        )
