"""On which device a file or folder lies: a copy on the disk that it protects is no copy."""

from __future__ import annotations

import os
from pathlib import Path

from luksafe.device.identity import DeviceFacts
from luksafe.device.opening import StrPath
from luksafe.device.stack import layers_below
from luksafe.device.sysfs import find_node


def is_stored_on(path: StrPath, facts: DeviceFacts) -> bool:
    """Whether ``path`` lies on this very device (or a partition or mapping of it), or inside this image file's volume.

    False where the kernel does not tell (network and overlay filesystems).
    """
    try:
        number = Path(path).stat().st_dev
    except OSError:
        return False
    node = find_node(os.major(number), os.minor(number))
    if node is None:
        return False
    numbers = {node.number} | {below.number for below in layers_below(node)}
    if facts.kind == "block":
        return (facts.major, facts.minor) in numbers
    backing = {below.attribute("loop/backing_file") for below in [node, *layers_below(node)]}
    return facts.path in backing
