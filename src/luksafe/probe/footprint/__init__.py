"""What else must have been written by whoever wrote a recognised structure."""

from luksafe.probe.footprint.compute import footprint
from luksafe.probe.footprint.model import Footprint, Written

__all__ = ["Footprint", "Written", "footprint"]
