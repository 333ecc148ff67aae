"""What JAX imports where it finds Colab."""
