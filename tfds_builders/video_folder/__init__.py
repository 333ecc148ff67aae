"""The user's own videos."""
