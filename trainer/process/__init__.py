"""The process: console, signals and environment variables. Imports nothing."""
