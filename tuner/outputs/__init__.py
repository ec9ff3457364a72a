"""What a study says and leaves: results, progress, TensorBoard. Imports search and below."""
