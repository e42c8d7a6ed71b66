"""Files of a filesystem inside the volume, read in user space: list them, copy them out."""
