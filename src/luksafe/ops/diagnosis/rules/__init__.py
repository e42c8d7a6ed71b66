"""The rules of a diagnosis: what is seen, and all that is said because of it. The table in spec/diagnosis.md."""
