"""Memory images, and the keys in them."""
