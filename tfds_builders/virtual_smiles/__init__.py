"""Rendered smiles of people who do not exist."""
