"""What an environment is, and the compiled tasks. Imports nothing above storage."""
