"""One module per family of on-disk structures. Each ends in ``PROBES``: functions from a Volume to what was recognised.

A probe raises :class:`luksafe.probe.volume.MismatchError` when the bytes are not its structure. Formats are written
from their published descriptions; names are those of blkid.
"""
