"""The runtime of exported models: reads a folder of `myxtts export` and runs it with ONNX Runtime, without TensorFlow."""
