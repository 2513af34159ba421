.PHONY: help demo test check bench docs release clean

help:
	@echo "make demo    a digital patient, assessed: a table of foci and a report in demo/"
	@echo "make test    the tests"
	@echo "make check   lint, types, import directions, examples in the docs"
	@echo "make bench AREA=reading   measured figures (scripts/bench lists the areas)"
	@echo "make docs    the documentation as a site in docs-out/html"
	@echo "make release  sdist and wheel in dist/, tried in clean environments, each extra by itself"
	@echo "make clean   remove what these made"

demo:
	@scripts/demo

test:
	@scripts/test

check:
	@scripts/check

bench:
	@scripts/bench $(AREA)

docs:
	@scripts/docs

release:
	@scripts/release_check --extras --citation --niivue

clean:
	rm -rf .venv .venv-bare demo bench-out docs-out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf src/hepacalc.egg-info
