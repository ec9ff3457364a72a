"""Many runs in one process: JSON lines in, results out. Imports all that is below."""
