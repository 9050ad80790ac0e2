# Pastel for an NVIDIA GPU (also runs on a CPU, slowly). torch brings its own CUDA libraries; the host needs the driver and
# the NVIDIA Container Toolkit only.
#   docker build -t pastel .
#   docker run -d --restart on-failure --gpus all --env-file .env -v pastel:/data -p 127.0.0.1:8080:8080 pastel
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /venv
COPY pyproject.toml constraints.txt README.md ./
COPY bot ./bot
COPY cogs ./cogs
RUN /venv/bin/pip install --no-cache-dir --constraint constraints.txt . && /venv/bin/pip uninstall --yes pastel

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home pastel && install -d -o pastel -g pastel /data
COPY --from=build /venv /venv
# The code belongs to root and stays read-only for the bot; only /data and the temporary folder are written.
COPY bot /pastel/bot
COPY cogs /pastel/cogs
COPY data /pastel/data
# The image's own defaults, as a file: variables would be replaced by empty ones that --env-file hands over.
RUN printf '%s\n' DATA_DIR=/data HTTP_HOST=0.0.0.0 HTTP_PORT=8080 LOG_FORMAT=json > /pastel/.env
WORKDIR /pastel
USER 10001
ENV HF_HOME=/data/hub PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# Weights of a real model take minutes to load the first time; until then the bot answers, but is not ready.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10m --retries=3 CMD ["/venv/bin/python", "-m", "bot", "health"]
ENTRYPOINT ["/venv/bin/python", "-m", "bot"]
CMD ["run"]
