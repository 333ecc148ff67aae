"""Speed: what is timed, counted and compiled."""
