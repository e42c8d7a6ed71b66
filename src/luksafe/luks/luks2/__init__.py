"""LUKS2, as in "LUKS2 On-Disk Format Specification" 1.1.x."""
