"""What can go wrong, tried out: python -m tests.faults prints one table."""
