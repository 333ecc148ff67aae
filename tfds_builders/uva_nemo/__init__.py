"""UvA-NEMO Smile."""
