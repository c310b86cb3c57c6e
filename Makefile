# ImCluster. `make help` lists the targets. Node 24 comes with `npm ci` where the machine's own is older.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
NODE := scripts/node.sh
TEST := $(NODE) scripts/test/main.ts

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

node_modules/.installed: package.json package-lock.json client/package.json
	@scripts/install.sh
	@touch $@

##@ Run
.PHONY: up down smoke dev chat status screenshot
up: node_modules/.installed ## A real ImCluster on a real two-node Kubernetes, with a demo; CONTEXT=name uses your cluster
	@$(NODE) scripts/up/main.ts up $(if $(CONTEXT),--context="$(CONTEXT)")
down: node_modules/.installed ## Remove the local cluster: no process, mount, link or folder of it stays
	@$(NODE) scripts/up/main.ts down
status: node_modules/.installed ## What runs now, as JSON; CONTEXT=name
	@$(NODE) scripts/up/main.ts status $(if $(CONTEXT),--context="$(CONTEXT)")
smoke: node_modules/.installed ## 10,000 messages through the LoadBalancer while pods are killed; figures as JSON; CONTEXT=name
	@$(NODE) e2e/smoke/main.ts $(if $(CONTEXT),--context="$(CONTEXT)")
.PHONY: smoke-market
smoke-market: node_modules/.installed ## What a marketplace's chat does, step by step, on the running cluster: STEPS=a,b CONTEXT=name
	@$(NODE) e2e/market/main.ts $(if $(STEPS),--steps="$(STEPS)") $(if $(CONTEXT),--context="$(CONTEXT)")
.PHONY: e2e-operator
e2e-operator: node_modules/.installed ## 2,000 clients chat through scaling, upgrades, lost nodes, dead operators: SCENARIO=a,b CLIENTS=n; after make up
	@$(NODE) e2e/live/main.ts $(if $(SCENARIO),--scenario="$(SCENARIO)") $(if $(CLIENTS),--clients="$(CLIENTS)")
dev: node_modules/.installed ## The fleet as local processes with real PostgreSQL and Redis, restarted on change
	@$(NODE) scripts/dev/main.ts
chat: node_modules/.installed ## Chat in the terminal against the running cluster: make chat AS=alice [TO=bob] [TENANT=acme] [CONTEXT=name]
	@$(NODE) scripts/up/chat.ts --as="$(or $(AS),alice)" $(if $(TO),--to="$(TO)") $(if $(TENANT),--tenant="$(TENANT)") $(if $(CONTEXT),--context="$(CONTEXT)")

.PHONY: prometheus
prometheus: node_modules/.installed ## Prometheus beside the running cluster, with our alerts and runbooks, until Ctrl-C; CONTEXT=name
	@$(NODE) scripts/up/prometheus.ts $(if $(CONTEXT),--context="$(CONTEXT)")

.PHONY: dead-letters
dead-letters: node_modules/.installed ## Pushes given up, as JSON: make dead-letters [DO=replay], with extlogic's environment
	@$(NODE) logic/push/dead-letters-main.ts $(or $(DO),list)
screenshot: node_modules/.installed ## Two people chat on the demo page in Chromium; writes docs/images/demo.png
	@$(NODE) e2e/demo/main.ts

.PHONY: package
package: node_modules/.installed ## Both charts as archives in build/charts, as they are published; KEY=name KEYRING=file signs them, PUSH=oci://... pushes them
	@$(NODE) scripts/package/main.ts $(if $(KEY),--key="$(KEY)") $(if $(KEYRING),--keyring="$(KEYRING)") $(if $(PUSH),--push="$(PUSH)")

.PHONY: plugin
plugin: node_modules/.installed ## kubectl im as a package without others: build/kubectl-im-VERSION.tgz
	@$(NODE) scripts/package/plugin-main.ts

##@ Check
.PHONY: check fmt lint types gen gen-check
check: lint types gen-check ## Format, lint, types, generated files
fmt: node_modules/.installed ## Format the tree
	@biome check --write .
lint: node_modules/.installed ## Format and lint, import rules, promise rules
	@biome check --error-on-warnings . && oxlint --type-aware --deny-warnings
types: node_modules/.installed ## Type check
	@tsc -p . && tsc -p client --noEmit && tsc -p examples --noEmit && tsc -p logic/admin-page
gen: node_modules/.installed ## Write generated files: proto types, CRD types, chart copies
	@$(NODE) scripts/gen/main.ts
.PHONY: docs
docs: node_modules/.installed ## Write the SDK's API reference (client/API.md) and its API reports from the code
	@$(NODE) scripts/gen/api-main.ts
gen-check: node_modules/.installed ## Fail when a generated file is not current
	@$(NODE) scripts/gen/main.ts --check

.PHONY: sbom
sbom: node_modules/.installed ## Bill of materials of what is shipped, CycloneDX JSON on stdout
	@$(NODE) scripts/release/sbom-main.ts

##@ Test
.PHONY: coverage
coverage: node_modules/.installed ## Is every test in the tree that docs/coverage.md names? make test asks whether they passed
	@$(NODE) scripts/test/coverage-main.ts
.PHONY: test test-unit test-int test-sim sim model mutants test-process test-operator test-charts test-alerts test-dashboards test-docs test-cluster
test: node_modules/.installed ## All tests, checks first
	@$(TEST) all
test-unit: node_modules/.installed ## Unit and property tests: no server needed
	@$(TEST) unit
test-int: node_modules/.installed ## Contract suites on real PostgreSQL, Redis, kube-apiserver
	@$(TEST) int
test-sim: node_modules/.installed ## A short simulation, every crash point, planted bugs that must be noticed
	@$(TEST) sim
sim: node_modules/.installed ## 5,000 seeds of the simulation with faults; SEED=n replays one, SEEDS=n runs so many
	@$(NODE) e2e/sim/main.ts $(if $(SEED),--seed "$(SEED)",--seeds "$(or $(SEEDS),5000)")
model: node_modules/.installed ## 5,000 seeds of the operator over a simulated cluster; SEED=n, SEEDS=n, COST=1 what an upgrade costs
	@$(NODE) e2e/model/main.ts $(if $(COST),--cost) $(if $(SEED),--seed "$(SEED)",--seeds "$(or $(SEEDS),5000)")
mutants: node_modules/.installed ## Planted product bugs: how many does the simulation notice? NAME=text for one
	@$(NODE) e2e/mutants/main.ts "$(NAME)"
test-process: node_modules/.installed ## Real processes on loopback: kills, flushes, drains
	@$(TEST) process
test-operator: node_modules/.installed ## Operator against a real kube-apiserver and etcd
	@$(TEST) operator
test-charts: node_modules/.installed ## Charts: lint, wrong values, samples rendered and installed on a real API server, upgrade, rollback
	@$(TEST) charts
test-alerts: node_modules/.installed ## Alerts by promtool: each fires when it should, and only then
	@$(TEST) alerts
test-dashboards: node_modules/.installed ## Dashboards: every query shows something in a real Prometheus over a real fleet
	@$(TEST) dashboards
test-docs: node_modules/.installed ## Documentation: links, names, commands of README and quick start, manifests on a real kube-apiserver
	@$(TEST) docs
test-cluster: node_modules/.installed ## The real two-node cluster: install, scale, upgrade, kill, uninstall
	@$(TEST) cluster

##@ Faults
.PHONY: elevator
elevator: node_modules/.installed ## The SDK without network for 5 to 90 s at a time while both sides write (root); CUTS=5,12
	@$(NODE) e2e/elevator/main.ts $(if $(CUTS),--cuts="$(CUTS)")
.PHONY: campaign
campaign: node_modules/.installed ## Faults over real processes in a private network (root); LONG=1, SEED=n, REDIS=sentinel|cluster, POSTGRES=pair, KEEP=dir, CHECK=dir
	@$(NODE) e2e/campaign/main.ts $(if $(LONG),--long) $(if $(SEED),--seed="$(SEED)") $(if $(REDIS),--redis="$(REDIS)") $(if $(POSTGRES),--postgres="$(POSTGRES)") $(if $(KEEP),--keep="$(KEEP)") $(if $(CHECK),--check="$(CHECK)")

.PHONY: skew
skew: node_modules/.installed ## An older build from git history beside this one, row by row, while people chat: FROM=tag or commit, ROW=part of a name
	@$(NODE) e2e/skew/main.ts $(if $(FROM),--from "$(FROM)") $(if $(ROW),--row "$(ROW)")

.PHONY: fuzz
fuzz: node_modules/.installed ## 1,000,000 mutated inputs against an entry: SEED=n, INPUTS=n, ONLY=lane/index replays one
	@$(NODE) e2e/fuzz/main.ts $(if $(SEED),--seed="$(SEED)") $(if $(INPUTS),--inputs="$(INPUTS)") $(if $(ONLY),--only="$(ONLY)")

.PHONY: security
security: node_modules/.installed ## Attacks on a real fleet; pods, rights, network, packages: ONLY=testssl,probes,clients,slow,canaries,pods,rbac,network,packages CONNECTIONS=n
	@$(NODE) e2e/security/main.ts $(if $(ONLY),--only="$(ONLY)") $(if $(CONNECTIONS),--connections="$(CONNECTIONS)")

.PHONY: network-policies
network-policies: node_modules/.installed ## NetworkPolicies seen enforced on the local cluster (root): every pair at every port, and a chat meanwhile
	@$(NODE) e2e/network/main.ts

.PHONY: cnpg
cnpg: node_modules/.installed ## CloudNativePG on the local cluster (root): people chat while a standby is killed, the primary switched over, and killed
	@$(NODE) e2e/cnpg/main.ts

##@ Measure
.PHONY: bench
bench: node_modules/.installed ## Benchmarks under bench/: make bench BENCH=send
	@$(NODE) bench/choose.ts "$(or $(BENCH),send)"
	@$(NODE) bench/$(or $(BENCH),send).ts
