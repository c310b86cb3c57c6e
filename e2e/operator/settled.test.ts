// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Bench, conditionStatus } from "./support/bench.ts";
import { Crash, hookedClient } from "./support/counting-client.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const FULL = {
  entry: {
    replicas: 2,
    demo: true,
    resources: { requests: { cpu: "0.5", memory: "0.5Gi" }, limits: { cpu: 2 } },
    service: { externalTrafficPolicy: "Local", annotations: { "example.com/a": "" } },
    podTemplate: {
      ...{ labels: { team: "im" }, annotations: { "example.com/b": "c" }, nodeSelector: { disk: "ssd" } },
      tolerations: [{ key: "im", operator: "Exists" }],
    },
  },
  logic: { replicas: 3, resources: { limits: { memory: "1073741824" } } },
  extlogic: { replicas: 0, webhook: { url: "https://hooks.example/push" } },
  redis: { embedded: { maxMemory: "64Mi" } },
};

describe("a settled cluster", () => {
  for (const [what, spec] of [
    ["empty", {}],
    ["full", FULL],
  ] as const) {
    it(`of an ${what} spec costs a restarted operator no write at all`, async () => {
      const bench = await Bench.open(server);
      try {
        await bench.startOperator();
        await bench.create(spec);
        await bench.untilReady();
        // Ready means serving; extlogic may still come up. Sessions are counted entry by entry, with the second look at the latest.
        await bench.until("nothing left to do, sessions of every entry", (cluster) => {
          if (conditionStatus(cluster, "Progressing") !== "False") return false;
          if (conditionStatus(cluster, "RouterConsistent") !== "True") return false;
          const { status } = cluster;
          const pods = status?.pods ?? [];
          const sum = pods.reduce((total, { sessions = 0 }) => total + sessions, 0);
          return pods.length > 0 && pods.every(({ sessions = 0 }) => sessions > 0) && status?.entry?.sessions === sum;
        });
        await bench.stopOperator();
        const writes: string[] = [];
        const crash = new Crash(Number.POSITIVE_INFINITY);
        const hooks = { ...crash.hooks, afterWrite: (description: string) => void writes.push(description) };
        let isRead = false;
        const seen = hookedClient(bench.client, {
          ...hooks,
          onUse: ({ resource }) => (isRead ||= resource === "secrets"),
        });
        await bench.startOperator(seen);
        await bench.until("the first pass", () => isRead);
        await bench.patchSpec({ paused: true });
        // The API server shows a write before its caller hears of it.
        await bench.until("a later pass", ({ status }) => status?.phase === "Paused" && writes.length > 0);
        assert.deepEqual(writes, ["status ImCluster demo"], "only the status of being paused");
      } finally {
        await bench.close();
      }
    });
  }
});
