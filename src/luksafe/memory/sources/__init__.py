"""Memory images by kind: each module finds the ranges of RAM in one kind of file."""
