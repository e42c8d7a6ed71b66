"""A fault in any parser stops at its wall, whatever Python raises and wherever it is raised."""

from __future__ import annotations

import os

import pytest
from fuzz.planting import plant
from fuzz.targets import SEEDS, TARGETS

COUNT = int(os.environ.get("LUKSAFE_PLANTED", "300000"))
SEARCHED = {"inspect", "sealed-json", "unlock", "volume", "mark"}
"""Slow ones: fewer each."""


@pytest.mark.stops
@pytest.mark.parametrize("name", TARGETS)
def test_a_planted_fault_stops_at_the_wall(name):
    told = plant(TARGETS[name], SEEDS[name], 20 if name in SEARCHED else 60)
    assert told["planted"], told


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.stops
@pytest.mark.parametrize("name", TARGETS)
def test_300000_inputs_with_planted_faults(name):
    told = plant(TARGETS[name], SEEDS[name], COUNT)
    assert sum(told[what] for what in ("planted", "ended before")) == COUNT
