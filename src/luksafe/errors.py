"""Every error that luksafe raises on purpose; anything else is a bug.

    LuksafeError            1   failed
      UsageError            2   the command line asks for something impossible
      KeyRejected          11   no keyslot opens with this key
      DamagedInput         12   the bytes are not what they should be
      Unsupported          13   a known thing that nothing here can do; says what could
      Refused              14   a safety check; says which flag overrides it
      NotFound             15   no such device, backup, packet
      Busy                 16   in use or locked by somebody else
      StoreError            1   a store failed (full, gone, read-only)

Exit status 3 (done, with warnings) and 10 (a negative verdict) are results, not errors.
"""

from __future__ import annotations

from collections.abc import Iterable


class LuksafeError(Exception):
    """Root of the tree: a message for the user, a stable ``code``, an exit status, a ``hint`` of what to do next."""

    code = "failed"
    exit_status = 1

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.result: dict[str, object] = {}
        """What is known all the same; ``--json`` prints it beside the error."""
        if code:
            self.code = code


class UsageError(LuksafeError):
    """The command line asks for something impossible."""

    code = "usage"
    exit_status = 2


class KeyRejected(LuksafeError):
    """No keyslot opens with the given key; the message says how many were tried, and of what kind."""

    code = "key-rejected"
    exit_status = 11


class DamagedInput(LuksafeError):
    """Bytes from outside are not what they should be; ``findings`` say what and where."""

    code = "damaged-input"
    exit_status = 12

    def __init__(self, message: str, *, hint: str = "", code: str = "", findings: Iterable[object] = ()) -> None:
        super().__init__(message, hint=hint, code=code)
        self.findings = tuple(findings)


class Unsupported(LuksafeError):
    """Nothing here can do this; the message names the thing and what would provide it."""

    code = "unsupported"
    exit_status = 13


class Refused(LuksafeError):
    """A safety check said no; the hint names the flag that overrides it."""

    code = "refused"
    exit_status = 14


class NotFound(LuksafeError):
    """There is no such device, file, backup or packet."""

    code = "not-found"
    exit_status = 15


class Busy(LuksafeError):
    """Somebody else uses or locks it."""

    code = "busy"
    exit_status = 16


class StoreError(LuksafeError):
    """A store failed: full, gone, read-only, or it gave back other bytes than were written."""

    code = "store"
    exit_status = 1
