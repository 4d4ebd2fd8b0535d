PYTHON ?= python3
RUN = .venv/bin/python -m

.PHONY: up test test-real lint ci bench dev

up:
	@exec $(PYTHON) postfuze/bootstrap.py up

dev:
	@$(PYTHON) postfuze/bootstrap.py dev

test: dev
	$(RUN) pytest -n 3 -m "not real"

test-real: dev
	$(RUN) pytest -m real

lint: dev
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy --strict platforms

ci:
	.ci/run

bench: dev
	.venv/bin/python benchmarks/run.py
