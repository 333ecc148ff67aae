"""Stands in for Colab's own package: files take the place of its windows."""
