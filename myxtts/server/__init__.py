"""An HTTP server that speaks OpenAI's speech interface (extra `serve`: starlette and uvicorn)."""
