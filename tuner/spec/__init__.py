"""Reads and checks a search space in either of Google's dialects. Imports nothing above text."""
