"""MyXTTS: training of text-to-speech models that clone a voice, built so that a run never dies of NaN.

Importing this package loads nothing heavy: TensorFlow is imported by the modules that compute.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
"""ONNX Runtime reports its use to its makers otherwise; a program that speaks for somebody must not."""

__version__ = "0.1.0"
