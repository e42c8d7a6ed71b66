"""Worker processes: forked, so that they inherit readers and keys without copying a secret through a pipe."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass

MAX_WORKERS = 4  # more give little, and each costs some 30 MiB


def count_workers() -> int:
    """How many workers to start: one for each core that this process may use, at most ``MAX_WORKERS``."""
    return min(len(os.sched_getaffinity(0)), MAX_WORKERS)


@dataclass(frozen=True, slots=True)
class Worker:
    """A forked child. ``pidfd`` becomes readable when it ends; the owner closes it by ``join``."""

    pid: int
    pidfd: int

    def join(self) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        """End it at once."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)


def fork_worker(run: Callable[[], None]) -> Worker:
    """Run ``run`` in a child that ignores Ctrl-C: the parent, which gets it as well, tells the child when to end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads hold no lock that a worker needs
        pid = os.fork()
    if pid:
        return Worker(pid, os.pidfd_open(pid))
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run()
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(status)
