"""The training loop: learn, evaluate, stop. Imports rollouts, agents and below; writes no files."""
