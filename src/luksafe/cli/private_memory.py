"""Keys are in the memory of this process: it is kept from files and from other processes."""

from __future__ import annotations

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """No core file of this process, and no look into its memory by other processes of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # the limit does not hold for a handler behind a pipe (core_pattern); programs that are run have memory of their own
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
