"""Output of a study: results, progress, TensorBoard. Imports search and below."""
