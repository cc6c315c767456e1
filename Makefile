# Each target makes .venv and installs what it needs by itself.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest
ZOO_VENV ?= .venv-zoo
SERVERS_VENV ?= .venv-servers
# The benchmarks that measure speed and need no data; the others say in their first lines what they need.
SPEED = audit dilation features image_generation inference loading metrics pooling preparation scenes serving startup

.PHONY: help install demo test test-all test-zoo test-servers check bench docs clean

help:
	@echo "make demo      render streets, train a small network, evaluate it, write demo/run/report.html"
	@echo "make test      run the fast tests"
	@echo "make test-all  run all tests, the slow ones too"
	@echo "make test-zoo  run the tests with torchvision, timm, segmentation_models_pytorch and transformers in $(ZOO_VENV)"
	@echo "make test-servers  run the tests with KServe and MLServer, in environments of their own"
	@echo "make check     lint, types and the import contract"
	@echo "make bench     measure speed; results go to benchmarks/results"
	@echo "make docs      build the documentation into site/"

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[nyudv2]"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

install: $(VENV)/installed

demo: $(VENV)/installed
	$(BIN)/tessella demo

test: $(VENV)/installed-dev
	$(PYTEST) -n 2 --dist loadscope -m "not slow and not gpu and not zoo and not servers"

test-all: $(VENV)/installed-dev
	$(PYTEST) -n 2 --dist loadscope -m "not gpu and not zoo and not servers"

# These libraries need a torch with a matching torchvision: they get an environment of their own.
test-zoo:
	test -x $(ZOO_VENV)/bin/python || $(PYTHON) -m venv $(ZOO_VENV)
	$(ZOO_VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.12.1 torchvision==0.27.1 \
		timm==1.0.31 segmentation-models-pytorch==0.6.0 transformers==5.23.0 pytest==9.2.0 jaxtyping scipy numba \
		opencv-contrib-python-headless onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2
	$(ZOO_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	OMP_NUM_THREADS=1 TRITON_INTERPRET=1 $(ZOO_VENV)/bin/python -m pytest -m zoo tests/zoo tests/dilation/test_gpu.py

# Servers of others, to which ours and its client are compared.
test-servers: $(VENV)/installed-dev
	test -x $(SERVERS_VENV)-kserve/bin/python || $(PYTHON) -m venv $(SERVERS_VENV)-kserve
	$(SERVERS_VENV)-kserve/bin/python -m pip install --quiet --disable-pip-version-check kserve==0.21.0 onnxruntime==1.32.0
	test -x $(SERVERS_VENV)-mlserver/bin/python || $(PYTHON) -m venv $(SERVERS_VENV)-mlserver
	$(SERVERS_VENV)-mlserver/bin/python -m pip install --quiet --disable-pip-version-check \
		mlserver==1.7.1 'uvloop<0.22' onnxruntime==1.32.0
	TESSELLA_KSERVE=$(SERVERS_VENV)-kserve TESSELLA_MLSERVER=$(SERVERS_VENV)-mlserver $(PYTEST) -m servers tests/serving

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev
	for name in $(SPEED); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

docs: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(ZOO_VENV) $(SERVERS_VENV)-* demo runs site .pytest_cache .mypy_cache .ruff_cache
