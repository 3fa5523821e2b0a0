# Everything one does with this repository. `make` lists it.
#
# Building and testing need Go and a C compiler. The rest fetches its tools
# once, at the versions below, to a cache outside of the tree.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

GOLANGCI_VERSION  := v2.15.0
GOFUMPT_VERSION   := v0.12.0
VERSITYGW_VERSION := v1.8.0
DUCKDB_VERSION    := 1.5.6-r.1

CACHE     := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/idtrail
GOLANGCI  := $(CACHE)/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint
GOFUMPT   := $(CACHE)/gofumpt-$(GOFUMPT_VERSION)/gofumpt
VERSITYGW := $(CACHE)/versitygw-$(VERSITYGW_VERSION)/versitygw
DUCKDB    := $(CACHE)/duckdb-$(DUCKDB_VERSION)

# What a caller may set: make fuzz FUZZTIME=5m, make microbench BENCH=Flush.
FUZZTIME ?= 10s
BENCH    ?= .
PKG      ?= ./...

# The SQLite driver is C.
export CGO_ENABLED := 1

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r target text; do \
	  printf '  %-12s %s\n' "$$target" "$$text"; done

.PHONY: build
build: ## Build bin/idtrail
	go build -o bin/idtrail ./cmd/idtrail

.PHONY: demo
demo: build ## Run the whole line on a demo tenant; needs no account
	bin/idtrail demo

.PHONY: test
test: ## Run the tests; needs Go and a C compiler only. Kills are sampled: make race tries every one
	go test -short -shuffle=on -timeout 5m $(PKG)

.PHONY: race
race: ## Run all tests, a kill at every step among them, with the race detector
	go test -race -shuffle=on -timeout 15m $(PKG)

.PHONY: integration
integration: $(VERSITYGW) $(DUCKDB)/.done build ## Run the tests against a real S3 server and DuckDB; needs Node too
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && cd integration && \
	echo "go test ./... (in integration/)" && \
	IDTRAIL_INTEGRATION=1 IDTRAIL_VERSITYGW='$(VERSITYGW)' IDTRAIL_DUCKDB='$(DUCKDB)' IDTRAIL_BINARY='$(CURDIR)/bin/idtrail' \
	  go test -count=1 -timeout 20m -v ./... 2>&1 | tee "$$log" | { grep -vE '^(=== |PASS$$| *--- PASS)' || true; } && \
	if grep -E '^ *--- SKIP' "$$log"; then echo 'integration: tests were skipped' >&2; exit 1; fi

.PHONY: lint
lint: $(GOLANGCI) $(GOFUMPT) ## Check form, imports between packages, and modules
	$(GOLANGCI) config verify
	$(GOLANGCI) run ./...
	cd integration && $(GOLANGCI) run ./...
	@files=$$(git ls-files -co --exclude-standard '*.go' | while read -r f; do [ ! -f "$$f" ] || echo "$$f"; done); \
	echo "gofumpt -l"; unformatted=$$($(GOFUMPT) -l $$files); \
	if [ -n "$$unformatted" ]; then printf 'not formatted, run make fmt:\n%s\n' "$$unformatted" >&2; exit 1; fi
	go vet ./...
	cd integration && go vet ./...
	go mod tidy -diff
	cd integration && go mod tidy -diff

.PHONY: fmt
fmt: $(GOLANGCI) ## Format the code
	$(GOLANGCI) fmt
	cd integration && $(GOLANGCI) fmt

.PHONY: bench
bench: build ## Measure the program: records/s beside a limit, and peak memory; BENCHFLAGS=-large=false for less
	go run ./internal/bench $(BENCHFLAGS)

.PHONY: microbench
microbench: ## Run the benchmarks of single packages; BENCH selects
	go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m $(PKG)

.PHONY: cover
cover: ## Measure test coverage, into coverage.out
	go test -coverpkg=./... -coverprofile=coverage.out -timeout 15m $(PKG)
	go tool cover -func=coverage.out | tail -1

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME
	@for pkg in $$(go list $(PKG)); do \
	  for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(FUZZTIME)' -timeout 60m "$$pkg"; \
	  done; \
	done

.PHONY: clean
clean: ## Remove what was built; the cache of tools stays
	rm -rf bin coverage.out

$(GOLANGCI):
	@echo "one-time: golangci-lint $(GOLANGCI_VERSION), some minutes"
	GOBIN='$(@D)' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

$(GOFUMPT):
	@echo "one-time: gofumpt $(GOFUMPT_VERSION)"
	GOBIN='$(@D)' go install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)

$(VERSITYGW):
	@echo "one-time: versitygw $(VERSITYGW_VERSION), a minute or two"
	GOBIN='$(@D)' go install -ldflags='-s -w' github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)

$(DUCKDB)/.done:
	@echo "one-time: DuckDB $(DUCKDB_VERSION) for Node"
	@command -v node npm >/dev/null || { echo 'make integration needs Node 20 or later, with npm' >&2; exit 1; }
	mkdir -p '$(@D)'
	npm install --prefix '$(@D)' --no-audit --no-fund --no-save --ignore-scripts '@duckdb/node-api@$(DUCKDB_VERSION)'
	touch '$@'
