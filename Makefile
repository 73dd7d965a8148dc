# The commands that people and CI share. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help up check test bench

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

check: ## formatting, lints and documentation, warnings denied
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

test: ## every test
	cargo test

bench: ## labctl beside Postfix and Dovecot, with figures (root; ONLY="accept pop3 memory marking")
	cargo bench --bench labctl -- $(ONLY)
