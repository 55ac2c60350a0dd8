# The app in a container: docker build -t slightly-different . && docker run -p 7860:7860 slightly-different
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends fluidsynth \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home visitor
WORKDIR /home/visitor/app

# --build-arg TORCH_INDEX=... names an index with the processor's build of torch, a tenth of the size of the one for GPUs.
ARG TORCH_INDEX=""
COPY requirements.txt .
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' requirements.txt)" \
    && pip install --no-cache-dir -r requirements.txt

COPY --chown=visitor . .
RUN install -d -o visitor /data
USER visitor
ENV GRADIO_SERVER_NAME=0.0.0.0 SLIGHTLY_DIFFERENT_STORE=/data/preferences.sqlite3 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:7860', timeout=5)"
CMD ["python", "app.py", "--port", "7860"]
