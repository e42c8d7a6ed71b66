"""Keep, recover and escrow access to LUKS volumes."""

__version__ = "0.1.0"
