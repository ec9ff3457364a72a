"""Files and objects: Google Cloud Storage, locks, atomic writes, checkpoints. Never TensorFlow."""
