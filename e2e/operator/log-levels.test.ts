// SPDX-License-Identifier: Apache-2.0
// Another log level is another ConfigMap, and no other pod.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CONFIG_MAPS, DEPLOYMENTS } from "../../operator/kube/types.ts";
import { type Bench, withCluster } from "./support/bench.ts";
import { refusal } from "./support/refusal.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

/** What would differ after a rollout of anything. */
async function whatRuns(bench: Bench): Promise<unknown> {
  const pods = await bench.entryPods();
  const deployments = await Promise.all(
    ["demo-logic", "demo-extlogic"].map((name) => bench.client.get(DEPLOYMENTS, bench.namespace, name)),
  );
  return {
    entries: pods.map(({ metadata }) => [metadata.uid, metadata.labels, metadata.deletionTimestamp]).sort(),
    deployments: deployments.map((one) => [one?.metadata.generation, one?.spec.template]),
  };
}

const levelsOf = async (bench: Bench) =>
  (await bench.client.get(CONFIG_MAPS, bench.namespace, "demo-log-levels"))?.data;

describe("log levels", () => {
  it("change without a new pod, one component at a time; a level that is none is refused", async () => {
    await withCluster(server, { entry: { replicas: 2 } }, async (bench) => {
      assert.deepEqual(await levelsOf(bench), { entry: "info", logic: "info", extlogic: "info" });
      const before = await whatRuns(bench);
      const wanted = { entry: "debug", logic: "error", extlogic: "warn" };
      const done: Record<string, string> = { entry: "info", logic: "info", extlogic: "info" };
      for (const [component, logLevel] of Object.entries(wanted)) {
        await bench.patchSpec({ [component]: { logLevel } });
        await bench.untilSettled();
        done[component] = logLevel;
        assert.deepEqual(await levelsOf(bench), done);
      }
      assert.deepEqual(await whatRuns(bench), before);
      assert.match(
        await refusal(bench.patchSpec({ logic: { logLevel: "loud" } })),
        /spec\.logic\.logLevel.*supported values: "debug", "info", "warn", "error"/,
      );
      // As a check of the comparison: this does roll them.
      await bench.patchSpec({ entry: { pingInterval: "45s" } });
      await bench.untilSettled();
      assert.notDeepEqual(await whatRuns(bench), before);
    });
  });
});
