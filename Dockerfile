# mxprobe: the service, its workers, and one-shot commands, without the tools that build it (docs/install.md).
#
#   docker build -t mxprobe .
#   docker run --rm mxprobe probe example.com
#   docker run --rm -v "$PWD:/data" mxprobe scan          probes.toml and the database lie in the mounted directory,
#                                                         which user 10001 must be able to write

ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
# Without pip in it, the environment holds what a run needs and no more.
RUN python -m venv --without-pip /opt/mxprobe
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# tzdata is for the time zones of quiet hours, where the base image has none.
ARG EXTRAS=fast,store,postgresql,worker,alerts,metrics
RUN pip --python /opt/mxprobe/bin/python install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]" tzdata

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="mxprobe" \
      org.opencontainers.image.description="Asks mail servers what they really do with STARTTLS" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/mxprobe/mxprobe" \
      org.opencontainers.image.documentation="https://github.com/mxprobe/mxprobe/tree/main/docs"
# The trusted certificates are those of the base image, in /etc/ssl/certs. The uid is a number, so that Kubernetes can
# see that it is not root (runAsNonRoot).
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin mxprobe \
    && install -d -o mxprobe -g mxprobe /data
COPY --from=build /opt/mxprobe /opt/mxprobe
ENV PATH=/opt/mxprobe/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
# For `run`, with `service.metrics = "127.0.0.1:9119"`. A command that is over in seconds ends before it is asked.
HEALTHCHECK --interval=1m --timeout=10s --start-period=2m --retries=3 CMD ["mxprobe", "health"]
ENTRYPOINT ["mxprobe"]
CMD ["--help"]
