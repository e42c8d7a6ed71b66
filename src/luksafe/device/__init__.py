"""Block devices and images: open, lock, size, holders, mounts, mappings."""
