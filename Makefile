# make demo | test | quick | lint | bench-window | bench-latency | bench-ingest | bench-checks | bench-commands | bench-ssh | bench-kubernetes | bench-logins | kill-table | containers | image | kubernetes | break-kill-table | production | schedules | tables | golden | pictures: each sets up what it needs in .venv first.

PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11; do \
	$$one -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$one; break; }; done)
BIN := .venv/bin
ARGS ?=

.PHONY: demo test quick lint lint-types lint-style lint-contracts bench-window bench-latency bench-ingest bench-checks bench-commands bench-ssh bench-kubernetes bench-logins kill-table containers image kubernetes production break-kill-table schedules tables golden pictures clean

demo: .venv/ready
	@$(BIN)/paramedic demo $(ARGS)

quick: .venv/ready
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --quick $(ARGS)

test: lint
ifeq ($(ARGS),)
	@$(BIN)/pytest --numprocesses 3 --dist loadfile --ignore=tests/kill # one more than cores: most tests wait for something
	@$(BIN)/pytest --numprocesses 2 --dist loadfile tests/kill # after the others: a whole Paramedic each needs its core
else
	@$(BIN)/pytest $(ARGS)
endif

lint: .venv/ready
	@$(MAKE) --no-print-directory --jobs=2 lint-types lint-style lint-contracts # the first takes as long as the others together

lint-types:
	@$(BIN)/mypy --no-error-summary

lint-style:
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .

lint-contracts:
	@$(BIN)/lint-imports --no-cache > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }

.venv/ready: uv.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Paramedic needs Python 3.11 or newer with venv; name one: make PYTHON=/path/to/python3"; exit 1; }
	@[ -x .venv-uv/bin/uv ] || { $(PYTHON) -m venv .venv-uv && .venv-uv/bin/pip install -q uv; }
	@UV_PROJECT_ENVIRONMENT=.venv .venv-uv/bin/uv sync -q --locked --all-extras --python $(PYTHON)
	@touch $@

bench-window: .venv/ready
	@$(BIN)/python benchmarks/window.py $(ARGS)

bench-latency: .venv/ready
	@$(BIN)/python benchmarks/latency.py $(ARGS)

bench-commands: .venv/ready
	@$(BIN)/python benchmarks/commands.py

bench-ssh: .venv/ready
	@$(BIN)/python benchmarks/ssh.py $(ARGS)

bench-logins: .venv/ready
	@$(BIN)/python benchmarks/logins.py $(ARGS)

bench-kubernetes: .venv/ready # builds kube-apiserver and kube-controller-manager once, as `make kubernetes`
	@KUBERNETES_BUILD="$$(.ci/kubernetes)" $(BIN)/python benchmarks/kubernetes.py $(ARGS)

bench-ingest: .venv/ready
	@$(BIN)/python benchmarks/ingest.py $(ARGS)

bench-checks: .venv/ready
	@$(BIN)/python benchmarks/checks.py $(ARGS)

kill-table: .venv/ready
	@LONG_TESTS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile tests/kill tests/responder/test_features.py tests/real/test_ssh_network.py $(ARGS)

containers: .venv/ready
	@.ci/needs podman=podman runc=runc busybox=busybox-static
	@LONG_TESTS=1 REQUIRE_REAL_SERVERS=1 $(BIN)/pytest tests/real/test_containers.py tests/real/test_container_roll_back.py tests/real/test_container_stories.py tests/real/test_demo_with_more.py $(ARGS)

image: .venv/ready # makes a base of Debian's packages once: 3 minutes
	@.ci/needs podman=podman runc=runc mmdebstrap=mmdebstrap sshd=openssh-server initdb=postgresql redis-server=redis-server
	@LONG_TESTS=1 REQUIRE_REAL_SERVERS=1 $(BIN)/pytest tests/real/test_image.py tests/real/test_image_roles.py $(ARGS)

kubernetes: .venv/ready # builds kube-apiserver and kube-controller-manager once: 4 minutes on 2 cores
	@KUBERNETES_BUILD="$$(.ci/kubernetes)" LONG_TESTS=1 REQUIRE_REAL_SERVERS=1 $(BIN)/pytest tests/real/test_kubernetes.py tests/real/test_kubernetes_releases.py tests/real/test_kubernetes_manifests.py tests/real/test_kubernetes_stories.py tests/real/test_demo_in_kubernetes.py tests/kill/test_real_workloads_killed.py $(ARGS)

production: .venv/ready
	@.ci/needs initdb=postgresql redis-server=redis-server nginx=nginx-light
	@LONG_TESTS=1 REQUIRE_REAL_SERVERS=1 $(BIN)/pytest tests/real/test_production_shape.py $(ARGS)

schedules: .venv/ready
	@LONG_TESTS=1 $(BIN)/pytest -rP tests/store/test_any_schedule.py $(ARGS)

break-kill-table: .venv/ready
	@PYTHONPATH=.:tests $(BIN)/python -m kill.breaks $(ARGS)

tables: .venv/ready
	@$(BIN)/python -m paramedic.kinds.docs_tables
	@$(BIN)/python -m tasks.verbs_page

golden: .venv/ready
	@PYTHONPATH=tests $(BIN)/python -m golden_messages

pictures: .venv/ready
	@UV_PROJECT_ENVIRONMENT=.venv .venv-uv/bin/uv sync -q --locked --all-extras --group pictures
	@$(BIN)/python docs/pictures.py

clean:
	@rm -rf .venv .venv-uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
