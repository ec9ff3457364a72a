"""Trials as processes: started, watched, stopped. Imports spec."""
