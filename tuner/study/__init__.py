"""A study from plan to result: tune, confirm, test. Imports all but commands and report."""
