"""A real Keystone and a real Nova on loopback, with what they need beside them, and what is in them."""
