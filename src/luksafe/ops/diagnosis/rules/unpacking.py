"""How a file that holds the bytes of a disk in another form is unpacked."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from luksafe.probe.container import Container

_SUFFIXES = {"gzip": ".gz", "xz": ".xz", "bzip2": ".bz2"}
_IN_PLACE = {"gzip": "gunzip -k", "xz": "xz -dk", "bzip2": "bunzip2 -k"}
_TO_OUTPUT = {"gzip": "gzip -dc", "xz": "xz -dc", "bzip2": "bzip2 -dc"}


def unpack_commands(container: Container, file: str) -> Iterator[str]:
    """The command that makes a bare image of it in a new file, and the one that looks at that."""
    suffix = _SUFFIXES.get(container.name, "")
    if suffix and file.endswith(suffix):
        yield f"{_IN_PLACE[container.name]} {shlex.quote(file)}"
        yield f"luksafe diagnose {shlex.quote(file.removesuffix(suffix))}"
        return
    bare = _bare_name(file)
    source, target = shlex.quote(file), shlex.quote(bare)
    match container.name:
        case "ewf":
            # ewfexport adds .raw by itself
            yield f"ewfexport -u -f raw -t {shlex.quote(bare.removesuffix('.raw'))} {source}"
        case "zstd":
            yield f"zstd -d {source} -o {target}"
        case "lz4":
            yield f"lz4 -d {source} {target}"
        case name if name in _TO_OUTPUT:
            yield f"{_TO_OUTPUT[name]} < {source} > {target}"
        case _:
            yield f"qemu-img convert -O raw {source} {target}"
    yield f"luksafe diagnose {target}"


def _bare_name(file: str) -> str:
    """A name for the image that is not there yet, beside the file (of a device: in the folder where one is)."""
    path = Path(file)
    place = path if path.is_file() else Path(path.name)
    bare = place.with_name(f"{place.name}.raw")
    number = 1
    while bare.exists():
        number += 1
        bare = place.with_name(f"{place.name}.{number}.raw")
    return str(bare)
