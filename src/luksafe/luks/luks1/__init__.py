"""LUKS1, as in "LUKS On-Disk Format Specification" 1.2.3."""
