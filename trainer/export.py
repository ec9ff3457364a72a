"""`python -m trainer.export JOB_DIR --to onnx,tflite,c,js,numpy`: a policy for other runtimes."""

from __future__ import annotations
