"""What belongs to the whole process: console, signals, environment variables. Imports nothing."""
