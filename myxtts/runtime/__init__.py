"""The runtime of exported models: runs a folder of `myxtts export` with ONNX Runtime, without TensorFlow."""
