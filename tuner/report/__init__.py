"""A job dir as one page to look at."""
