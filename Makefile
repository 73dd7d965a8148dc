# The commands that people and CI share. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help up up-docker images check test bench fuzz

LABCTL = target/release/labctl

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

up: ## build labctl and bring up labs/practica2
	cargo build --release --locked
	@$(LABCTL) up labs/practica2

up-docker: images ## the same in containers: a terminal for each student, isolated networks
	cargo build --release --locked
	@$(LABCTL) up labs/practica2 --engine docker

images: ## the base of the students' containers, from Debian's packages (as root, once)
	@command -v mmdebstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq mmdebstrap; }
	images/base.sh

check: ## formatting, lints and documentation, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

test: ## every test (installs what they need from Debian's packages)
	tests/install.sh
	cargo test --locked

bench: ## labctl beside Postfix and Dovecot, medians and ratios (root; ONLY="accept pop3 memory marking")
	cargo bench --locked --bench labctl -- $(ONLY)

fuzz: ## the line layers and sessions against random octets, SECONDS_EACH seconds each (60), from the transcripts' corpus
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	cd fuzz && cargo run --locked --release --example seeds
	for target in $$(ls fuzz/targets | sed 's/\.rs$$//'); do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- -max_total_time=$${SECONDS_EACH:-60} -max_len=4096 -timeout=10 || exit 1; \
	done
