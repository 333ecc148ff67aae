"""What the notebook for Colab uses."""
