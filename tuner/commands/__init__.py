"""The commands of `python -m tuner`: flags in, exit codes out. Imports everything below."""
