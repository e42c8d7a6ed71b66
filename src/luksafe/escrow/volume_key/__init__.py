"""Escrow packets of volume_key, read and written: what organisations have from before."""
