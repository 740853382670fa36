"""From a TensorFlow graph to an ONNX file: conversion, storage of the weights in fewer bits, and structural checks."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from myxtts.errors import ConfigError
from myxtts.export.graphs import Graph

OPSET = 17
_SMALLEST_HALF = 256
"""Arrays with fewer values keep 32 bits: they are scales and positions rather than weights."""
_NO_DEEP_COPIES = "TF2ONNX_CATCH_ERRORS"
"""Where this variable is set, tf2onnx does not copy the graph before each optimization, which takes most of the time,
and an optimization that fails is an error."""


class ExportError(Exception):
    """An export does not pass its own checks: a defect of MyXTTS or of a converter, not of the user's input."""


def import_onnx() -> Any:
    """The package onnx, with tf2onnx installed too. Raises ConfigError where one is missing."""
    try:
        import onnx
        import tf2onnx  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"export to ONNX needs the package {error.name}; install it with `pip install 'myxtts[export]'`"
        ) from error
    return onnx


def convert(graph: Graph, metadata: Mapping[str, str] | None = None) -> Any:
    """The ONNX model of a graph, with exactly its inputs and outputs, in their order. Raises ExportError."""
    onnx = import_onnx()
    import tf2onnx

    function = tf.function(graph.function, input_signature=graph.signature, autograph=False)
    with _converter_settings() as errors, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, _ = tf2onnx.convert.from_function(function, input_signature=graph.signature, opset=OPSET)
    if errors:
        raise ExportError(f"the conversion to ONNX reported: {errors[0]}")
    by_name = {output.name: output for output in model.graph.output}
    wanted, found = [spec.name for spec in graph.signature], [value.name for value in model.graph.input]
    if sorted(by_name) != sorted(graph.outputs) or found != wanted:
        raise ExportError(f"the ONNX graph has inputs {found} and outputs {list(by_name)}, expected {wanted} and "
                          f"{list(graph.outputs)}")  # fmt: skip
    del model.graph.output[:]
    model.graph.output.extend(by_name[name] for name in graph.outputs)
    model.graph.name, model.doc_string, model.graph.doc_string = "myxtts", "", ""
    onnx.helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model, full_check=True)
    return model


class _ErrorList(logging.Handler):
    """Collects the errors of a logger: tf2onnx writes a file in spite of them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the message."""
        self.errors.append(" ".join(record.getMessage().split())[:200])


@contextlib.contextmanager
def _converter_settings() -> Iterator[list[str]]:
    """Errors that tf2onnx logs while the block runs; its other messages are hidden."""
    logger, handler = logging.getLogger("tf2onnx"), _ErrorList()
    level, before = logger.level, os.environ.get(_NO_DEEP_COPIES)
    os.environ[_NO_DEEP_COPIES] = "FALSE"
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    propagates, logger.propagate = logger.propagate, False
    try:
        yield handler.errors
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates
        if before is None:
            del os.environ[_NO_DEEP_COPIES]
        else:
            os.environ[_NO_DEEP_COPIES] = before


def store(model: Any, path: Path, weights: str) -> None:
    """Writes a model whose weights are fp32 to a new file, its weights stored as fp32, fp16 or int8.

    With fp16 the weights are cast back when the file is loaded, so the arithmetic is that of fp32; int8 quantizes the
    matrix products dynamically.
    """
    onnx = import_onnx()
    if weights == "fp16":
        model = _with_half_weights(model)
    onnx.save(model, path)
    if weights == "int8":
        _quantize(path)
    onnx.checker.check_model(str(path), full_check=True)


def _with_half_weights(model: Any) -> Any:
    onnx = import_onnx()
    half = onnx.ModelProto()
    half.CopyFrom(model)
    casts = []
    for tensor in half.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST_HALF:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        if float(np.abs(values).max()) > float(np.finfo(np.float16).max):
            continue
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(half.graph.node)
    del half.graph.node[:]
    half.graph.node.extend([*casts, *nodes])
    return half


def _quantize(path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    full = path.with_suffix(".fp32")
    path.rename(full)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the quantizer warns that the model was not preprocessed
    try:
        quantize_dynamic(
            full, path, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
        )
    finally:
        root.setLevel(level)
        full.unlink()
