// SPDX-License-Identifier: Apache-2.0
// Every query of the dashboards, asked of a real Prometheus that scrapes a real fleet under load: a panel that stays empty is a fault.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ANNOTATIONS, withoutVariables } from "../../scripts/gen/dashboards/grafana.ts";
import { DASHBOARDS } from "../../scripts/gen/dashboards/list.ts";
import { describeProcesses } from "../../scripts/gen/metrics-doc.ts";
import type { Fleet } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";
import { type PrometheusServer, startPrometheus } from "../harness/prometheus.ts";
import type { ServiceProcess } from "../harness/service-process.ts";
import { assertKept, chat, login, targetOf, useFleet } from "../process/fleet-suite.ts";
import { startWebhookSandbox } from "../sandbox/webhook.ts";

const RULES = join(import.meta.dirname, "../../charts/im-operator/files/rules.yaml");
/** Long enough for the load to be in it until the last query. */
const RATE_INTERVAL = "5m";
const FILLED_TIMEOUT_MS = 60_000;
/** Of a fleet without an operator. */
const FLEET_DASHBOARDS = ["overview", "entry", "delivery"] as const;

describe("dashboards", async () => {
  const webhook = await startWebhookSandbox({ secret: "dashboards" });
  const fleet = useFleet({
    ...{ entries: 2, logics: 1, extlogics: 1 },
    extlogicEnv: { IM_PUSH_WEBHOOK_URL: webhook.url, IM_PUSH_WEBHOOK_SECRET: "dashboards" },
  });
  let prometheus: PrometheusServer;
  let again: () => Promise<void>;

  before(async () => {
    prometheus = await startPrometheus({ targets: targetsOf(fleet()), ruleFiles: [RULES] });
    await waitUntil("all are scraped", async () => (await prometheus.scraped()) === 4, 30_000);
    again = await load(fleet());
  });
  after(async () => {
    await prometheus.stop();
    await webhook.close();
  });

  it("marks in the panels are what Prometheus takes, and the begin of a version is one", async () => {
    for (const { name, expr } of ANNOTATIONS) {
      const marks = await prometheus.query(withoutVariables(expr, RATE_INTERVAL));
      if (name !== "Rollouts") continue;
      const components = marks.map(({ labels }) => labels.component);
      assert.deepEqual(components.sort(), ["entry", "extlogic", "logic"]);
      assert.ok(marks.every(({ labels }) => labels.version));
    }
  });

  for (const name of FLEET_DASHBOARDS) {
    it(`${name}: every panel shows something under load`, async () => {
      const queries = (DASHBOARDS[name]?.rows ?? []).flatMap((row) =>
        row.panels.flatMap((panel) =>
          panel.queries.map(({ expr }) => ({ title: `${row.title} / ${panel.title}`, expr })),
        ),
      );
      assert.ok(queries.length > 10);
      const empty = new Map(queries.map((query) => [withoutVariables(query.expr, RATE_INTERVAL), query.title]));
      await waitUntil(
        `panels of ${name} that show nothing`,
        async () => {
          await again();
          for (const expr of [...empty.keys()]) {
            const samples = await prometheus.query(expr);
            if (samples.some(({ value }) => Number.isFinite(value))) empty.delete(expr);
          }
          return empty.size === 0;
        },
        FILLED_TIMEOUT_MS,
      ).catch((error: unknown) =>
        assert.fail(`${String(error)}\n${[...empty].map(([expr, title]) => `${title}: ${expr}`).join("\n")}`),
      );
    });
  }

  it("the legends name labels that the series have", async () => {
    for (const name of FLEET_DASHBOARDS) {
      for (const panel of (DASHBOARDS[name]?.rows ?? []).flatMap((row) => row.panels)) {
        for (const { expr, legend } of panel.queries) {
          const [sample] = await prometheus.query(withoutVariables(expr, RATE_INTERVAL));
          for (const [, label = ""] of legend.matchAll(/\{\{(\w+)\}\}/g)) {
            assert.ok(sample && label in sample.labels, `${name}, ${panel.title}: the series have no ${label}`);
          }
        }
      }
    }
  });

  it("a quiet fleet lets no alert of its own fire", async () => {
    const names = await prometheus.firing();
    // Nobody scrapes an operator here.
    names.delete("ImOperatorNoLeader");
    assert.deepEqual([...names], []);
  });

  it("the operator's speaks of metrics that an operator has", () => {
    const operator = describeProcesses().find(({ name }) => name === "operator");
    const known = new Set(operator?.metrics.map(({ name }) => name));
    for (const { queries } of (DASHBOARDS.operator?.rows ?? []).flatMap((row) => row.panels)) {
      for (const { expr } of queries) {
        for (const [name] of expr.matchAll(/im_[a-z0-9_]+/g)) assert.ok(known.has(name.replace(/_bucket$/, "")), name);
      }
    }
  });
});

/** The labels are those of a scrape in a cluster. */
function targetsOf(fleet: Fleet) {
  const targets = (component: string, processes: readonly ServiceProcess[]) =>
    processes.map(({ adminPort }, index) => ({
      address: `127.0.0.1:${adminPort}`,
      labels: { namespace: "shop", imcluster: "im", component, pod: `im-${component}-${index}` },
    }));
  return [
    ...targets("entry", fleet.entries),
    ...targets("logic", fleet.logics),
    ...targets("extlogic", fleet.extlogics),
  ];
}

/**
 * Chats, reads, pings, goes, is pushed to: something of everything that is drawn. Resolves with what is to be done again: a series
 * that began with its first event grows, for Prometheus, with the second.
 */
async function load(fleet: Fleet): Promise<() => Promise<void>> {
  const away = await login(fleet, "away", targetOf(fleet, "tls", 0));
  await away.client.close();
  const report = await chat(fleet, {
    pairs: [
      { a: targetOf(fleet, "tls", 0), b: targetOf(fleet, "wss", 1) },
      { a: targetOf(fleet, "wss", 0), b: targetOf(fleet, "tcp", 1) },
    ],
    messages: 100,
  });
  assertKept(report);
  const { client } = await login(fleet, "here", targetOf(fleet, "tls", 1));
  return async () => {
    const { conversationId } = await client.send({ to: "away", content: "you are away" });
    await client.history(conversationId);
    for (const entry of fleet.entries.keys()) {
      const guest = await login(fleet, `guest-${entry}`, targetOf(fleet, "tls", entry));
      await guest.client.close();
    }
  };
}
