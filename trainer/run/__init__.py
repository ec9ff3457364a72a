"""One run, from its command to its manifest. Imports training, outputs and everything below."""
