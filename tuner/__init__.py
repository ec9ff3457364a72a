"""The search: what to try, where, and what came of it. Runs on the user's machine."""
