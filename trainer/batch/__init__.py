"""Many runs in one process: JSON lines in, results out. Imports everything below."""
