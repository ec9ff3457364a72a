FROM python:3.11-slim AS code

# The trainer is found from any working directory, and log lines are not buffered.
ENV PYTHONPATH=/app \
    PYTHONUNBUFFERED=1
WORKDIR /app

# Another pinned list, such as requirements/cuda.txt, builds an image with other packages.
ARG REQUIREMENTS=requirements/base.txt
COPY ${REQUIREMENTS} requirements.txt
# No build isolation: cloudml-hypertune comes as source, and an isolated build would download a
# setuptools without a checked hash. TensorFlow's headers are 290 MB and needed for compiling only.
RUN pip install --no-cache-dir --no-build-isolation --root-user-action=ignore --require-hashes \
        -r requirements.txt \
    && rm -r /usr/local/lib/python3.11/site-packages/tensorflow/include

# Last, so that rebuilding after a change of the code takes seconds.
COPY LICENSE .
COPY trainer/ trainer/
# The arguments come before RUN: podman's cache compares them only there, and would otherwise
# reuse the labels of another build.
ARG VERSION=unknown
ARG REVISION=unknown
RUN echo "${REVISION}" >trainer/COMMIT && python -m compileall -q trainer
LABEL org.opencontainers.image.title="a2c-cloud-trainer" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# `scripts/build_image.sh --tuner`: the machines of a Ray cluster, with requirements/ray_worker.txt.
FROM code AS tuner
COPY tuner/ tuner/
RUN python -m compileall -q tuner
CMD ["python", "-m", "tuner", "--help"]

FROM code AS trainer
# No USER: tuning services read the metric from a folder that only root may write to. Elsewhere
# `--user`, `--read-only`, `--cap-drop all` and `--network none` work.
ENTRYPOINT ["python", "-m", "trainer.task"]
