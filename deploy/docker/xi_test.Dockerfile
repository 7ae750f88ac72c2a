# All launch files of xi_test; rendered by `sanicGuider deploy docker xi_test`.
# The packages are a layer of their own, which is made again only when pyproject.toml changes.
FROM python:3.13-slim AS packages
WORKDIR /build
RUN python -m venv /venv
COPY pyproject.toml ./
RUN python -c "import tomllib; file = tomllib.load(open('pyproject.toml', 'rb')); print(*file['project']['dependencies'], *file.get('dependency-groups', {}).get('xi_test', []), sep='\n')" \
        > requirements.txt \
    && /venv/bin/pip install --no-cache-dir --requirement requirements.txt

FROM python:3.13-slim
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --shell /usr/sbin/nologin app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XI_TEST_ENV=prod \
    XI_TEST_HOST=0.0.0.0 \
    HEALTH_PORT=8800
WORKDIR /app
COPY --from=packages /venv /venv
COPY . .
# The code is root's; only these folders are the service's.
RUN install -d -o app -g app -m 0750 /app/logs && install -d -o app -g app -m 0700 .sanicbase
USER 10001:10001
EXPOSE 8800
EXPOSE 8801
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=3 CMD ["python", "-c", "import http.client, os, sys; asked = http.client.HTTPConnection('127.0.0.1', int(os.environ['HEALTH_PORT']), timeout=4); asked.request('GET', '/livez'); sys.exit(asked.getresponse().status != 200)"]
# Without a shell, so that signals arrive. Another launch file is another command.
CMD ["python", "http_xi_test.py"]
