"""A search space in either of Google's dialects, read and checked. Imports nothing above text."""
