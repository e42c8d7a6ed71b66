"""Sheets of paper that open a volume, and how to read them back."""
