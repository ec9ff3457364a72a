"""A policy in the formats of other runtimes. Imports outputs, agents, environments and below."""
