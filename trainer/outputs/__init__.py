"""Writes a run's files: metrics, models, video, policy. Imports agents, environments and below."""
