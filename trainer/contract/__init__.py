"""What both packages share about a run: settings, flags, files. Never TensorFlow."""
