"""The OpenStack doors: several sites, each an account of its own with all its services under one path.

The catalog is the one place all URLs come from. What a site does not do answers 404 or 501.
"""
