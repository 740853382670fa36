"""An HTTP server with OpenAI's speech API (extra `serve`: starlette and uvicorn)."""
