"""A job dir as one HTML page. Imports outputs, cloud, search and below."""
