"""Diagnosis: what is damaged, where, by what, what still works and what to do next. Reads only.

``facts.gather`` looks (device, vault, mappings, statistics); ``judge.diagnose`` judges what was seen and reads nothing.
The rules are the table in spec/diagnosis.md.
"""
