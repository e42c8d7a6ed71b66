"""Escrow: seal a volume's key to the people who may need it, keep the packets, open and use them."""
