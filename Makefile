# The commands: `make app`, `make test`, and `make bench`, for example `make bench ARGS="--only ppo --rounds 5"`.
PY ?= python3
ARGS ?=
LAB ?= $(HOME)/rlhf-lab
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
CONSTRAINTS := $(wildcard constraints.txt)

.PHONY: app test bench clean

app: .venv/.app
	.venv/bin/workbench app --lab "$(LAB)"

test: .venv/.dev
	.venv/bin/pytest

bench: .venv/.app .venv-bench/.ppo .venv-bench/.current
	.venv/bin/python -m benchmarks.bench $(ARGS)

.venv/bin/uv:
	$(PY) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv/.app: pyproject.toml $(CONSTRAINTS) | .venv/bin/uv
	.venv/bin/uv pip install --python .venv/bin/python $(addprefix -c ,$(CONSTRAINTS)) -e .
	touch $@

.venv/.dev: .venv/.app pyproject.toml $(CONSTRAINTS)
	.venv/bin/uv pip install --python .venv/bin/python $(addprefix -c ,$(CONSTRAINTS)) -e '.[dev]'
	touch $@

# TRL in environments of its own: its last PPO trainer and its current SFT and reward trainers are of different releases.
.venv-bench/.%: benchmarks/requirements-trl-%.txt | .venv/bin/uv
	.venv/bin/uv venv --quiet --clear --python .venv/bin/python .venv-bench/$*
	.venv/bin/uv pip install --python .venv-bench/$*/bin/python -r $<
	touch $@

clean:
	rm -rf .venv .venv-bench build *.egg-info
