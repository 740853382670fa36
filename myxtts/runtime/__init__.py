"""The runtime of exported models: runs a folder of `myxtts export` with ONNX Runtime, without TensorFlow."""

WEIGHTS = ("fp32", "fp16", "int8")
"""Precisions in which the graphs store the weights."""
