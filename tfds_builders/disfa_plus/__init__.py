"""DISFA+: posed smiles."""
