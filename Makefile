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
OTELCOL_VERSION   := v0.145.0
PRISM_VERSION     := 5.14.2
JSYAML_VERSION    := 4.3.2
DATADOG_VERSION   := $(shell sed -nE 's|.*github.com/DataDog/datadog-api-client-go/v2 ([^ ]+).*|\1|p' go.mod)

CACHE     := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/idtrail
GOLANGCI  := $(CACHE)/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint
GOFUMPT   := $(CACHE)/gofumpt-$(GOFUMPT_VERSION)/gofumpt
VERSITYGW := $(CACHE)/versitygw-$(VERSITYGW_VERSION)/versitygw
DUCKDB    := $(CACHE)/duckdb-$(DUCKDB_VERSION)
PRISM     := $(CACHE)/prism-$(PRISM_VERSION)
# What its manifest holds is part of the collector's version.
OTELCOL_MANIFEST := integration/harness/otelcol/builder.yaml
OTELCOL     := $(CACHE)/otelcol-$(OTELCOL_VERSION)-$(shell cksum <$(OTELCOL_MANIFEST) | cut -d' ' -f1)
DATADOG_API := $(CACHE)/datadog-api-$(DATADOG_VERSION).json

# What a caller may set: make fuzz FUZZTIME=5m, make microbench BENCH=Flush,
# make chaos CHAOSTIME=1h CHAOSSEED=7.
FUZZTIME ?= 10s
BENCH    ?= .
PKG      ?= ./...
IMAGE    ?= idtrail
# What else terraform init is told: -plugin-dir=DIR where there is no network.
TF_INIT  ?=
# How much of a year make year goes through.
MONTHS   ?= 12
CHAOSTIME ?= 10m
# 0 draws one; the seed is printed.
CHAOSSEED ?= 0

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
test: ## Run the tests; needs Go and a C compiler only. Kills are sampled: make race tries more, make integration every one
	go test -short -shuffle=on -timeout 5m $(PKG)

.PHONY: race
race: ## Run all tests, many kills among them, with the race detector
	go test -race -shuffle=on -timeout 25m $(PKG)

.PHONY: integration
integration: $(VERSITYGW) $(DUCKDB)/.done $(OTELCOL)/.done $(PRISM)/.done $(DATADOG_API) build build-chaos ## Run the tests against real programs: S3, DuckDB, OpenTelemetry Collector, Prism; needs Node too
	go test -count=1 -timeout 15m -run AmongAMillion ./internal/verify
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && cd integration && \
	echo "go test ./... (in integration/)" && \
	IDTRAIL_INTEGRATION=1 IDTRAIL_VERSITYGW='$(VERSITYGW)' IDTRAIL_DUCKDB='$(DUCKDB)' \
	  IDTRAIL_OTELCOL='$(OTELCOL)/otelcol' IDTRAIL_PRISM='$(PRISM)' IDTRAIL_DATADOG_API='$(DATADOG_API)' \
	  IDTRAIL_BINARY='$(CURDIR)/bin/idtrail' IDTRAIL_CHAOS_BINARY='$(CURDIR)/bin/idtrail-chaos' \
	  go test -count=1 -timeout 30m -v ./... 2>&1 | tee "$$log" | { grep -vE '^(=== |PASS$$| *--- PASS)' || true; } && \
	if grep -E '^ *--- SKIP' "$$log"; then echo 'integration: tests were skipped' >&2; exit 1; fi

# The tag builds a program that can be told to die at a step, and whose leases run
# out in seconds.
.PHONY: build-chaos
build-chaos:
	go build -tags chaos -o bin/idtrail-chaos ./cmd/idtrail

.PHONY: chaos
chaos: $(VERSITYGW) build-chaos ## Kill, freeze, rob and cut off the program for CHAOSTIME, and check what it leaves; CHAOSSEED repeats a plan
	go run ./internal/chaos -for '$(CHAOSTIME)' -seed '$(CHAOSSEED)' -s3 '$(VERSITYGW)' $(CHAOSFLAGS)

.PHONY: year
year: ## Run the jobs of a year by a clock of its own, hold what grows against the plan, and log sizes and costs: 15 minutes of CPU; MONTHS=2 for less
	go test -count=1 -timeout 120m -v -run TestYearOfRuns ./internal/serve -months '$(MONTHS)'

.PHONY: lint
lint: $(GOLANGCI) $(GOFUMPT) ## Check form, imports between packages, and modules
	$(GOLANGCI) config verify
	$(GOLANGCI) run --allow-parallel-runners ./...
	cd integration && $(GOLANGCI) run --allow-parallel-runners ./...
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

# The version of the label is the nearest tag and what came after it; that of the
# program comes from .git, too.
.PHONY: image
image: ## Build the container image, IMAGE (default: idtrail); needs Docker with BuildKit
	DOCKER_BUILDKIT=1 docker build -f deploy/Dockerfile -t '$(IMAGE)' \
	  --build-arg VERSION="$$(git describe --tags --always --dirty)" --build-arg REVISION="$$(git rev-parse HEAD)" .

# In a copy: terraform leaves files behind.
.PHONY: deploy-check
deploy-check: ## Check deploy/ with terraform and systemd, each where it is there, and the tests that need neither
	go test -count=1 ./deploy
	go test -count=1 -run 'Deploy|AlarmCountsRuns' ./cmd/idtrail
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && cp -r deploy/terraform deploy/systemd "$$dir" && \
	if command -v terraform >/dev/null; then \
	  cd "$$dir/terraform" && terraform fmt -check -recursive -diff && terraform init -backend=false -input=false $(TF_INIT) >/dev/null && \
	  terraform validate && terraform test && \
	  cd examples/complete && terraform init -backend=false -input=false $(TF_INIT) >/dev/null && terraform validate; \
	else echo 'deploy-check: terraform is not installed, and its part is left out' >&2; fi && \
	if command -v systemd-analyze >/dev/null; then \
	  cd "$$dir/systemd" && sed -i 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' *.service && \
	  systemd-analyze verify ./idtrail@audit.service ./idtrail.service ./*.timer; \
	else echo 'deploy-check: systemd-analyze is not installed, and its part is left out' >&2; fi

.PHONY: docs
docs: ## Write docs/SCHEMA.md anew, from the types and the mapping
	go run ./internal/schemadoc

.PHONY: picture
picture: build ## Draw docs/demo.svg anew, from a run of the demo
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	bin/idtrail demo -q --dir "$$dir/demo" >"$$dir/printed" && \
	go run ./internal/termsvg -command 'make demo' -omit-from 'missing_left (' -omit-to 'Verified:' -end 'All of that took' \
	  <"$$dir/printed" >docs/demo.svg

# By a test, so that the generator is no part of the program.
.PHONY: man
man: ## Write the man pages to bin/man
	go test -count=1 -run '^TestManPages$$' ./cmd/idtrail -man '$(CURDIR)/bin/man'

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

# Two compilers at a time: some of its packages take 2 GB each to compile.
$(OTELCOL)/.done:
	@echo "one-time: OpenTelemetry Collector $(OTELCOL_VERSION), some minutes and 4 GB of memory"
	mkdir -p '$(@D)'
	GOBIN='$(@D)' go install go.opentelemetry.io/collector/cmd/builder@$(OTELCOL_VERSION)
	cp '$(OTELCOL_MANIFEST)' '$(@D)/builder.yaml'
	cd '$(@D)' && CGO_ENABLED=0 GOFLAGS="$${GOFLAGS-} -p=2" ./builder --config builder.yaml --ldflags='-s -w'
	mv '$(@D)/source/otelcol' '$(@D)/otelcol'
	rm -rf '$(@D)/source' '$(@D)/builder'
	touch '$@'

$(PRISM)/.done:
	@echo "one-time: Prism $(PRISM_VERSION) for Node"
	@command -v node npm >/dev/null || { echo 'make integration needs Node 20 or later, with npm' >&2; exit 1; }
	mkdir -p '$(@D)'
	npm install --prefix '$(@D)' --no-audit --no-fund --no-save --ignore-scripts \
	  '@stoplight/prism-cli@$(PRISM_VERSION)' 'js-yaml@$(JSYAML_VERSION)'
	touch '$@'

# What Datadog says of its API comes with its own client for Go.
$(DATADOG_API): integration/harness/prism/cut.mjs $(PRISM)/.done
	go mod download github.com/DataDog/datadog-api-client-go/v2
	node '$<' "$$(go list -m -f '{{.Dir}}' github.com/DataDog/datadog-api-client-go/v2)/.generator/schemas" '$(PRISM)' '$@'
