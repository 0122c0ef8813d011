# Imprimatur's own parts: worker, projector, API and the command line are one image.
# The base could not be pulled where this file was written: build it once before relying on it.
FROM python:3.12.12-slim-bookworm

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

RUN useradd --system --create-home --uid 10001 imprimatur && install -d -o imprimatur -g imprimatur -m 0700 /data /keys
WORKDIR /app

COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY domain domain
COPY workflows workflows
COPY projections projections
COPY services services
COPY policies policies
RUN pip install --no-deps --no-build-isolation .

USER imprimatur
ENV IMPRIMATUR_DATA=/data
CMD ["imprimatur", "--help"]
