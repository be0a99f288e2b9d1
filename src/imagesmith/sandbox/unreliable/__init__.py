"""Doors that fail now and then, as those of real clouds do: a layer in front of each, off until it is asked for."""
