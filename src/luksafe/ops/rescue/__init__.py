"""Rescue: what a volume in trouble needs, in plain words, as ways out made of commands that a person can repeat."""
