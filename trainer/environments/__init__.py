"""Environments: made, checked, encoded; and the compiled ones. Imports contract and storage."""
