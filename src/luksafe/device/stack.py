"""What stands on what: device-mapper, MD, loop devices, partitions, in both directions."""

from __future__ import annotations

from luksafe.device.mounts import is_same_file
from luksafe.device.sysfs import BlockNode, all_nodes, node_of


def loop_devices_over(path: str) -> list[BlockNode]:
    """The loop devices that show this file or device."""
    loops = ((node, node.attribute("loop/backing_file")) for node in all_nodes() if node.name.startswith("loop"))
    return [node for node, backing in loops if backing and is_same_file(backing, path)]


def layers_above(node: BlockNode) -> set[BlockNode]:
    """Every device that stands on this one, or for a partition also on its disk (multipath, firmware RAID)."""
    above: set[BlockNode] = set()
    waiting = [*node.holders(), *node.disk.holders(), *loop_devices_over(node.path)]
    while waiting:
        up = waiting.pop()
        if up not in above:
            above.add(up)
            waiting += [*up.holders(), *up.partitions(), *loop_devices_over(up.path)]
    return above


def layers_below(node: BlockNode) -> list[BlockNode]:
    """Every device that this one stands on, the nearest first, down to the disks."""
    below: list[BlockNode] = []
    waiting = _directly_below(node)
    while waiting:
        down = waiting.pop(0)
        if down not in below:
            below.append(down)
            waiting += _directly_below(down)
    return below


def _directly_below(node: BlockNode) -> list[BlockNode]:
    if node.disk != node:
        return [node.disk]
    backing = node_of(node.attribute("loop/backing_file")) if node.name.startswith("loop") else None
    return [backing] if backing else node.backing()
