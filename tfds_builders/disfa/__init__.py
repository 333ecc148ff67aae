"""DISFA: spontaneous smiles."""
