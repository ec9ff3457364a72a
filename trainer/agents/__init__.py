"""Learning rules, networks, optimiser and random streams. Imports contract and storage."""
