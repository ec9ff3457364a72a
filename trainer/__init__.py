"""A trainer of policy-gradient and actor-critic agents, made to be tuned."""

__version__ = "0.1.0"
