"""Whom packets are sealed to, and what opens them."""
