"""What a run leaves: metrics, models, video, policy. Imports agents, environments and below."""
