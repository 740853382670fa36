"""The built-in corpus: what `make train` and `make demo` use on a machine without recordings."""
