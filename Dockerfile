# PubMed semantic search, served from an index that is mounted read-only. docs/serving.md says how to use it.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY search search
RUN python -m venv /program && /program/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 search
COPY --from=build /program /program
ENV PATH=/program/bin:$PATH SEARCH_CACHE=/home/search/cache SEARCH_INDEX=/index
USER search
# The model is made ready for OpenVINO while the image is built: a container that may not write starts as fast.
RUN python -c "from search.models import Encoder; Encoder('builtin').encode(['ready'])"
WORKDIR /home/search
VOLUME /index
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health', timeout=8)"]
ENTRYPOINT ["search"]
CMD ["serve", "--host", "0.0.0.0", "--config", "/config.yml"]
