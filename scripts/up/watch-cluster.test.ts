// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import { configurationFor, rulesIn } from "./watch-cluster.ts";

const EXAMPLE = readFileSync(join(PROJECT_ROOT, "examples/prometheus.yaml"), "utf8");

describe("the Prometheus of make prometheus", () => {
  it("has every job of the example with its relabeling, and reads targets and rules from files", () => {
    const given = parse(EXAMPLE) as { scrape_configs: { job_name: string; relabel_configs: object[] }[] };
    const made = configurationFor(EXAMPLE, { targets: "/t.json", rules: "/r.yaml" }) as typeof given & object;
    assert.deepEqual((made as { rule_files?: string[] }).rule_files, ["/r.yaml"]);
    assert.equal(made.scrape_configs.length, given.scrape_configs.length);
    for (const [at, job] of made.scrape_configs.entries()) {
      assert.equal(job.job_name, given.scrape_configs[at]?.job_name);
      assert.deepEqual(job.relabel_configs, given.scrape_configs[at]?.relabel_configs);
      assert.equal("kubernetes_sd_configs" in job, false);
      assert.deepEqual((job as { file_sd_configs?: unknown }).file_sd_configs, [
        { files: ["/t.json"], refresh_interval: "1s" },
      ]);
    }
  });

  it("takes the rules out of what the chart renders", () => {
    const rendered =
      "---\n# nothing\n---\nkind: PodMonitor\n---\nkind: PrometheusRule\nspec:\n  groups: [{ name: a }]\n";
    assert.deepEqual(parse(rulesIn(rendered)), { groups: [{ name: "a" }] });
    assert.throws(() => rulesIn("kind: PodMonitor\n"), /renders no PrometheusRule/);
  });
});
