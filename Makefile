# The commands that people and CI share. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help build up images dist check test bench soak fuzz

# One static file: the servers' image is that file and nothing else. Macros cannot be built so, hence the target.
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
# What `make dist` builds for; another system's or processor's needs that target's standard library and linker.
TARGET ?= $(HOST)
LABCTL = target/$(HOST)/release/labctl
STATIC = RUSTFLAGS="-C target-feature=+crt-static"

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## labctl, as one static program
	$(STATIC) cargo build --release --locked --target $(HOST)

up: build ## build labctl and bring up labs/practica2: in containers where Docker answers, else in one process
	@$(MAKE) --silent --no-print-directory tools
	@$(LABCTL) up labs/practica2

images: build ## what the students' containers are made from, ahead of a class
	@$(MAKE) --silent --no-print-directory tools
	@$(LABCTL) images build

# Where Docker answers, has no base for the students' image yet, and nothing may be pulled, Debian's packages are the base.
.PHONY: tools
tools:
	@images=$$($(LABCTL) images 2>/dev/null) || exit 0; \
	if [ "$$(id -u)" = 0 ] && ! echo "$$images" | grep -q '^labctl-client:' && ! command -v mmdebstrap >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq mmdebstrap; \
	fi

dist: ## target/dist: the static program, optimised whole, and a Debian package with completions, manual pages and a lab
	$(STATIC) cargo build --profile dist --locked --target $(TARGET)
	packaging/deb.sh target/$(TARGET)/dist/labctl $(TARGET) target/dist

check: ## formatting, lints and documentation, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

test: ## every test (installs what they need from Debian's packages)
	tests/install.sh
	cargo test --locked

bench: ## labctl beside Postfix, Dovecot and docker-compose, medians and ratios (root; ONLY="accept pop3 imap split relay memory marking docker")
	$(STATIC) cargo bench --locked --target $(HOST) --bench labctl -- $(ONLY)

soak: ## kill -9 under load, ROUNDS times (1000): nothing lost, nothing twice, marks equal
	LABCTL_SOAK_ROUNDS=$${ROUNDS:-1000} cargo test --release --locked --test it cli::soak -- --nocapture

fuzz: ## the line layers and sessions against random octets, SECONDS_EACH seconds each (60), from the transcripts' corpus
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	cd fuzz && cargo run --locked --release --example seeds
	for target in $$(ls fuzz/targets | sed 's/\.rs$$//'); do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- -max_total_time=$${SECONDS_EACH:-60} -max_len=4096 -timeout=10 || exit 1; \
	done
