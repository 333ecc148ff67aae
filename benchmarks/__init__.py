"""Timings; each file is a program."""
