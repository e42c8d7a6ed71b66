"""Three hosts, two sticks that go from one to another, anything in any order: the stores still become one union."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from vault_samples import LATER, NOW, UUID, counted, flip, image_of, record_of

from luksafe.errors import Refused
from luksafe.vault.config import add_store
from luksafe.vault.folder_store import open_home
from luksafe.vault.report import State
from luksafe.vault.vault import Vault

HOSTS = ["a", "b", "c"]
STICKS = ["usb", "nas"]
hosts = st.sampled_from(HOSTS)
sticks = st.sampled_from(STICKS)
images = st.integers(0, 3)


class Vaults(RuleBasedStateMachine):
    """Each host has a home and knows both sticks; a stick is plugged in at one host or at none."""

    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.top = Path(tempfile.mkdtemp(dir=memory))
        self.random = counted("union")
        self.where = dict.fromkeys(STICKS, "")
        self.forgotten: set[str] = set()
        for host in HOSTS:
            (self.top / host).mkdir()
            home = open_home(self.top / host / "home", self.random, create=True)
            for stick in STICKS:
                self.plug(stick, host)
                add_store(home.folder, stick, self.top / host / stick, self.random, own=True)
            home.close()
        for stick in STICKS:
            self.plug(stick, "")

    def teardown(self) -> None:
        try:
            self._carry_round()
        finally:
            shutil.rmtree(self.top)

    def vault(self, host: str) -> Vault:
        return Vault.open(self.top / host / "home", random=self.random)

    @rule(stick=sticks, host=hosts | st.just(""))
    def plug(self, stick: str, host: str) -> None:
        """Move a stick to a host, or into the drawer."""
        old, new = self.top / self.where[stick] / stick, self.top / host / stick
        if old.exists() and old != new:
            old.rename(new)
        self.where[stick] = host

    @rule(host=hosts, image=images, follow=st.booleans())
    def add(self, host: str, image: int, follow: bool) -> None:
        with self.vault(host) as vault:
            parents = vault.lineage(UUID).events if follow else []
            try:
                added = vault.add(record_of(host=host, parents=parents, seqid=image), image_of(str(image)), now=NOW)
            except Refused:
                return
            assert added.problems == []
            if follow:
                assert added.id in [backup.id for backup in vault.current(UUID)]

    @rule(host=hosts, image=images)
    def add_again(self, host: str, image: int) -> None:
        with self.vault(host) as vault:
            assert vault.add(record_of(host=host), image_of(str(image)), now=NOW, again=True).problems == []

    @rule(host=hosts, data=st.data())
    def forget(self, host: str, data: st.DataObject) -> None:
        with self.vault(host) as vault:
            ids = [backup.id for backup in vault.backups()]
            if ids:
                chosen = data.draw(st.sampled_from(ids))
                assert vault.forget(chosen, "", now=NOW).problems == []
                self.forgotten.add(chosen)

    @rule(host=hosts)
    def sync(self, host: str) -> None:
        with self.vault(host) as vault:
            for report in vault.sync(now=LATER).stores:
                assert report.problems == []
                assert report.set_aside == []
            for report in vault.check(now=LATER).stores:
                assert report.is_level, report

    @rule(host=hosts, data=st.data())
    def damage_one_of_several(self, host: str, data: st.DataObject) -> None:
        """Flip a byte in a store that is here, when another that is here has the file too; then heal it."""
        with self.vault(host) as vault:
            vault.sync(now=LATER)
            if len(vault.stores) < 2:
                return
            names = vault.home.names()
            if names:
                name = data.draw(st.sampled_from(names))
                flip(self.top / host / "home" / str(name))
                (healed,) = [report.healed for report in vault.sync(now=LATER).stores if report.store == "home"]
                assert healed == [str(name)]

    @invariant()
    def nothing_is_damaged(self) -> None:
        for host in HOSTS:
            with self.vault(host) as vault:
                for backup in vault.backups():
                    assert vault.image(backup.id).data
                for report in vault.check(now=NOW).stores:
                    assert report.names(State.DAMAGED, State.UNREADABLE) == []

    def _carry_round(self) -> None:
        """Carry all sticks round twice: then all hosts hold the same, and nothing that was forgotten."""
        for _ in range(2):
            for host in HOSTS:
                for stick in STICKS:
                    self.plug(stick, host)
                self.sync(host)
        held = []
        for host in HOSTS:
            with self.vault(host) as vault:
                held.append({str(name) for name in vault.home.names()})
                assert not {backup.id for backup in vault.backups()} & self.forgotten
                assert not any(
                    name.split("/")[1].startswith(f"{gone}.hdr") for name in held[-1] for gone in self.forgotten
                )
        assert held[0] == held[1] == held[2]

    @rule()
    def meet(self) -> None:
        """All sticks go round."""
        where = dict(self.where)
        self._carry_round()
        for stick, host in where.items():
            self.plug(stick, host)


TestVaults = Vaults.TestCase
TestVaults.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
