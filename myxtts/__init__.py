"""MyXTTS: training of text-to-speech models that clone a voice, built so that a run never dies of NaN.

Importing this package loads nothing heavy: TensorFlow is imported by the modules that compute.
"""

__version__ = "0.1.0"
