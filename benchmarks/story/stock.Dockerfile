# What a notebook runs in without Inset: the same releases of JupyterHub, JupyterLab and Notebook, as pip installs them.
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}
COPY requirements/singleuser.txt /opt/stock/requirements.txt
RUN python3 -m venv /opt/stock && /opt/stock/bin/pip install --no-cache-dir --no-deps --require-hashes -r /opt/stock/requirements.txt
RUN useradd --uid 1000 --create-home --shell /bin/bash notebook
USER notebook
WORKDIR /home/notebook
ENV PATH=/opt/stock/bin:$PATH SHELL=/bin/bash
EXPOSE 8888
CMD ["jupyterhub-singleuser"]
