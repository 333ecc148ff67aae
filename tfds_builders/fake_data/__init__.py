"""Rendered stand-ins for the datasets that have to be requested."""
