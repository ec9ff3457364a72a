"""Learning rules, networks, optimizer and random streams. Imports contract and storage."""
