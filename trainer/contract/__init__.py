"""What a run is told and leaves, for both packages: settings, flags, files. Never TensorFlow."""
