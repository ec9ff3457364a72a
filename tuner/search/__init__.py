"""What to try next and which trial is best; the trials so far. Imports execution and spec."""
