"""Measurements that anyone can repeat. Each module is one command that prints a table."""
