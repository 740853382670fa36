# The speech server and every other command of MyXTTS in a container.
#   docker build -t myxtts .                                 without a GPU
#   docker build -t myxtts:gpu --build-arg VARIANT=gpu .     with CUDA, for `docker run --gpus all`
# `.ci/container` runs these steps where no container can be built.
FROM python:3.12-slim
ARG VARIANT=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
# M4A, AAC and WebM recordings are read with ffmpeg; all other libraries come with the packages.
RUN apt-get update && apt-get install --yes --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY myxtts ./myxtts
RUN pip install "/app[export,runtime,serve]"
RUN if [ "$VARIANT" = gpu ]; then pip install "/app[gpu]"; fi
# Runs, exported folders and voices of the user lie in /data; caches go to its home.
RUN mkdir -p /data && chown 1000:1000 /data
# HOME may be a folder of another user, and numba keeps compiled code.
ENV HOME=/data NUMBA_CACHE_DIR=/tmp/numba
WORKDIR /data
USER 1000:1000
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT ["myxtts"]
CMD ["serve", "starter", "--host", "0.0.0.0", "--port", "8000"]
