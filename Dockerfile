# Airflow with Imagesmith in it: one image for every service of docker-compose.yaml.
FROM python:3.11-slim

ENV AIRFLOW_HOME=/opt/airflow \
    IMAGESMITH_HOME=/opt/airflow/imagesmith \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1

# The volumes take over owner and mode of these directories when they are first made.
RUN useradd --uid 50000 --create-home --home-dir /opt/airflow airflow \
    && install -d -o airflow -g airflow /opt/airflow/logs /opt/airflow/imagesmith

WORKDIR /opt/imagesmith

# The lock alone first: a change of our own code then rebuilds in seconds.
COPY requirements.txt ./
RUN pip install --requirement requirements.txt

COPY pyproject.toml LICENSE ./
COPY src ./src
RUN pip install --no-deps --editable .

COPY dags ./dags
COPY plugins ./plugins
COPY include ./include

USER airflow
EXPOSE 8080
CMD ["airflow", "api-server"]
