# The assistant, without CUDA: the model server has the GPU. Built and run by docker-compose.yml.
FROM python:3.12.11-slim-bookworm
ENV PYTHONUNBUFFERED=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 PATH=/opt/study/bin:$PATH
RUN useradd --uid 1000 --create-home study && install -d -o study -g study /home/study/data /notes
WORKDIR /src
COPY requirements/uv.txt requirements/cpu.txt requirements/base.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt \
    && uv venv /opt/study \
    && uv pip install --no-cache --python /opt/study/bin/python --require-hashes --no-deps -r requirements/cpu.txt \
        --index https://download.pytorch.org/whl/cpu --index-strategy unsafe-best-match \
    && uv pip install --no-cache --python /opt/study/bin/python --require-hashes --no-deps -r requirements/base.txt
COPY . .
RUN uv pip install --no-cache --python /opt/study/bin/python --no-deps --no-build-isolation . && rm -rf /src/*
WORKDIR /home/study
USER study
CMD ["ask", "ui"]
