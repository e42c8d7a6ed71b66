"""The report of a diagnosis as one file: nothing is loaded from elsewhere, and no byte of the device stands in it."""
