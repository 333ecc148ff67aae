"""Videos of one's own."""
