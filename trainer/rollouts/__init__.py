"""Collects rollouts: compiled, or through Gymnasium. Imports agents and environments."""
