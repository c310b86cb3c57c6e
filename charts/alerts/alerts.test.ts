// SPDX-License-Identifier: Apache-2.0
// The rules that the im-operator chart installs, by promtool: each alert fires when it should and not otherwise, speaks of metrics
// and labels that exist, and has a page for whoever is woken by it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { COMPONENTS, LABEL, namesOf } from "../../operator/imcluster/names.ts";
import { describeProcesses } from "../../scripts/gen/metrics-doc.ts";
import { CASES, RECORDED, type Series } from "./cases.ts";

const RULES = join(import.meta.dirname, "../im-operator/files/rules.yaml");
const RUNBOOKS = join(import.meta.dirname, "../../docs/runbooks");
const SECTIONS = ["## What it means", "## Who notices", "## Find out", "## Mend"];
/** Labels that the scrape adds. */
const TARGET_LABELS = ["namespace", "pod", "imcluster", "component"];
const runFile = promisify(execFile);

interface Schema {
  properties?: Record<string, Schema>;
}
interface Crd {
  spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
}

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

const rules = (parse(readFileSync(RULES, "utf8")) as { groups: { name: string; rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const alerts = rules.filter((rule): rule is Rule & { alert: string } => rule.alert !== undefined);
const root = mkdtempSync(join(tmpdir(), "im-alerts-"));
after(() => rmSync(root, { recursive: true }));

async function promtool(args: string[]): Promise<{ code: number; output: string }> {
  try {
    const { stdout, stderr } = await runFile("promtool", args, { timeout: 60_000 });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const failed = error as { code?: number; stdout?: string; stderr?: string };
    return { code: failed.code ?? 1, output: `${failed.stdout}${failed.stderr}${failed.code}` };
  }
}

/** One test of promtool: how many alerts of this name fire. */
function firing(name: string, alert: string, series: Series, evalTime: string, count: number): object {
  return {
    name,
    interval: "15s",
    input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
    promql_expr_test: [
      {
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
        eval_time: evalTime,
        exp_samples: [{ labels: "{}", value: count }],
      },
    ],
  };
}

/** The rules of one alert or figure, with the figures that it goes by: promtool evaluates all that it is given, at every step. */
function rulesFor(file: string, name: string): void {
  const own = rules.filter(({ alert, record }) => alert === name || record === name);
  assert.equal(own.length, 1, name);
  const used = rules.filter(({ record }) => record !== undefined && own.some(({ expr }) => expr.includes(record)));
  writeFileSync(file, stringify({ groups: [{ name, rules: [...new Set([...used, ...own])] }] }));
}

async function check(name: string, rule: string, tests: object[]): Promise<void> {
  const file = join(root, `${name}.yaml`);
  const ruleFile = join(root, `${name}.rules.yaml`);
  rulesFor(ruleFile, rule);
  writeFileSync(file, stringify({ rule_files: [ruleFile], evaluation_interval: "15s", tests }));
  const { code, output } = await promtool(["test", "rules", file]);
  assert.equal(code, 0, output);
}

describe("the rules", () => {
  it("are what Prometheus takes", async () => {
    const { code, output } = await promtool(["check", "rules", RULES]);
    assert.equal(code, 0, output);
  });

  it("are loaded by a configuration that Prometheus takes", async () => {
    const example = readFileSync(join(import.meta.dirname, "../../examples/prometheus.yaml"), "utf8");
    assert.match(example, /rule_files:\n {2}- \S*rules\.yaml\n/);
    const file = join(root, "prometheus.yaml");
    // promtool looks whether the rule files are there; Debian builds it without the discovery of Kubernetes.
    const withRules = example.replace(/- \S*rules\.yaml/, `- ${RULES}`);
    writeFileSync(file, withRules.replaceAll(/kubernetes_sd_configs:\n {6}- role: pod\n/g, "static_configs: []\n"));
    const { code, output } = await promtool(["check", "config", file]);
    assert.equal(code, 0, output);
  });

  it("speak of metrics that a process has, with labels that it gives them", () => {
    const labelsOf = new Map(
      describeProcesses().flatMap(({ metrics }) =>
        metrics.flatMap(({ name, type, labels }) =>
          (type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).map(
            (suffix) =>
              [name + suffix, new Set([...labels, ...TARGET_LABELS, ...(suffix === "_bucket" ? ["le"] : [])])] as const,
          ),
        ),
      ),
    );
    const recorded = new Set(rules.map((rule) => rule.record));
    for (const rule of rules) {
      for (const [, name = "", matchers = ""] of rule.expr.matchAll(
        /\b((?:im_|imcluster:)[a-z0-9_:]+)(?:\{([^}]*)\})?/g,
      )) {
        if (recorded.has(name)) continue;
        const labels = labelsOf.get(name);
        assert.ok(labels, `${rule.alert ?? rule.record} speaks of ${name}, which no process has`);
        for (const [, label = ""] of matchers.matchAll(/([a-z_]+)\s*(?:=|!=|=~|!~)/g)) {
          assert.ok(labels.has(label), `${rule.alert ?? rule.record}: ${name} has no label ${label}`);
        }
      }
    }
  });

  it("wait two scrapes at least, unless they count something that must not happen once", () => {
    for (const { alert, for: pause, expr, labels } of alerts) {
      assert.match(labels?.severity ?? "", /^(critical|warning|info)$/, alert);
      if (pause === undefined) assert.match(expr, /increase\(/, `${alert} has no \`for\``);
      else assert.match(pause, /^(30s|[1-9][0-9]*m)$/, alert);
    }
  });

  it("say where and what, by labels that their expression keeps", () => {
    for (const { alert, expr, annotations = {} } of alerts) {
      assert.ok(annotations.summary && annotations.description, alert);
      for (const [, label = ""] of `${annotations.summary} ${annotations.description}`.matchAll(
        /\$labels\.([a-z_]+)/g,
      )) {
        assert.match(expr, new RegExp(`\\b${label}\\b|^imcluster:`), `${alert} names ${label}`);
      }
    }
  });
});

describe("alerts", () => {
  it("have a case each", () => {
    assert.deepEqual([...new Set(CASES.map((one) => one.alert))].sort(), alerts.map((one) => one.alert).sort());
  });

  for (const [at, { alert, after: evalTime, fires, quiet, count = 1 }] of CASES.entries()) {
    it(`${alert} fires, and only then (${at})`, async () => {
      await check(`${at}-${alert}`, alert, [
        firing("fires", alert, fires, evalTime, count),
        firing("quiet", alert, quiet, evalTime, 0),
      ]);
    });
  }

  for (const [at, { record, series, labels, value }] of RECORDED.entries()) {
    it(`${record} is recorded (${at})`, async () => {
      const input_series = Object.entries(series).map(([one, values]) => ({ series: one, values }));
      const exp_samples = [{ labels: `${record}${labels}`, value }];
      const promql_expr_test = [{ expr: record, eval_time: "10m", exp_samples }];
      await check(`${at}-recorded`, record, [{ interval: "15s", input_series, promql_expr_test }]);
    });
  }
});

describe("runbooks", () => {
  it("are there for each alert, say what to do, and for nothing else", () => {
    const pages = readdirSync(RUNBOOKS).filter((file) => file !== "README.md");
    assert.deepEqual(pages.sort(), alerts.map(({ alert }) => `${alert}.md`).sort());
    const list = readFileSync(join(RUNBOOKS, "README.md"), "utf8");
    for (const { alert } of alerts) {
      const page = readFileSync(join(RUNBOOKS, `${alert}.md`), "utf8");
      assert.ok(page.startsWith(`# ${alert}\n`), alert);
      for (const section of SECTIONS) assert.ok(page.includes(`\n${section}\n`), `${alert}: ${section}`);
      assert.ok(list.includes(`[${alert}](${alert}.md)`), `${alert} is not in the list`);
    }
  });

  it("name fields of the spec that exist", () => {
    const crd = parse(readFileSync(join(import.meta.dirname, "../../crds/imcluster.yaml"), "utf8")) as Crd;
    const spec = crd.spec.versions[0]?.schema.openAPIV3Schema.properties?.spec;
    for (const file of readdirSync(RUNBOOKS)) {
      for (const [path, names = ""] of readFileSync(join(RUNBOOKS, file), "utf8").matchAll(/`spec\.([A-Za-z.]+)`/g)) {
        let at = spec;
        for (const name of names.split(".")) at = at?.properties?.[name];
        assert.ok(at, `${file} names ${path}, which is no field`);
      }
    }
  });

  it("select pods by labels that they have, and name objects that the operator makes", () => {
    const labels = new Map<string, readonly string[]>([
      [LABEL.cluster, ["NAME"]],
      [LABEL.component, COMPONENTS],
      [LABEL.name, ["im-operator"]],
      ["kubernetes.io/service-name", [namesOf("NAME").logic]],
    ]);
    const { entry, logic, extlogic, api } = namesOf("NAME");
    const objects = new Set([entry, logic, extlogic, api, "im-operator"]);
    let selectors = 0;
    for (const file of readdirSync(RUNBOOKS)) {
      const page = readFileSync(join(RUNBOOKS, file), "utf8");
      for (const [, selector = ""] of page.matchAll(/ -l ([^\s`]+)/g)) {
        selectors++;
        for (const one of selector.split(",")) {
          const [label = "", value = ""] = one.split("=");
          assert.ok(labels.get(label)?.includes(value), `${file} selects by ${one}`);
        }
        if (selector.includes(LABEL.component))
          assert.ok(selector.includes(`${LABEL.cluster}=NAME`), `${file}: of all`);
      }
      for (const [, object = ""] of page.matchAll(/\bdeploy\/([\w-]+)/g))
        assert.ok(objects.has(object), `${file}: ${object}`);
      for (const [, program = ""] of page.matchAll(/\bnode ([\w/-]+\.ts)/g)) {
        assert.ok(existsSync(join(RUNBOOKS, "../..", program)), `${file} runs ${program}`);
      }
    }
    assert.ok(selectors > 5);
  });

  it("lead to pages that exist", () => {
    for (const file of readdirSync(RUNBOOKS)) {
      const page = readFileSync(join(RUNBOOKS, file), "utf8");
      for (const [, target = ""] of page.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
        assert.ok(existsSync(join(RUNBOOKS, target)), `${file} leads to ${target}`);
      }
    }
  });
});
