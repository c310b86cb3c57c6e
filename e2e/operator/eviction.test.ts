// SPDX-License-Identifier: Apache-2.0
// A real API server asks the webhook about evictions, over the certificate that the operator made for it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ANNOTATION } from "../../operator/imcluster/names.ts";
import { PODS } from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { startAdmission } from "./support/admission.ts";
import { Bench } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

describe("an eviction of an entry", () => {
  it("is answered 429 until it is drained, and begins the drain; others are evicted at once", async () => {
    const bench = await Bench.open(server);
    const answers: string[] = [];
    try {
      const operator = await bench.startOperator();
      await bench.create({ entry: { replicas: 2 }, logic: { replicas: 1 } });
      await bench.untilReady();
      const admission = await startAdmission(server, bench, operator, (answer) => void answers.push(answer));
      try {
        const [victim] = await bench.entryPods();
        assert.ok(victim);
        const { name, uid = "" } = victim.metadata;
        // The API server takes a new webhook into use within about a second.
        await waitUntil("the webhook is asked", async () => {
          const outcome = await bench.client.evict(bench.namespace, name, { dryRun: true });
          return outcome === "blocked" && answers.length > 0;
        });
        const [untouched] = await bench.entryPods();
        assert.equal(
          untouched?.metadata.annotations?.[ANNOTATION.drainRequest],
          undefined,
          "a dry run asks for nothing",
        );
        bench.fleet.stuck.add(uid);
        assert.equal(await bench.client.evict(bench.namespace, name), "blocked");
        const draining = await bench.until("it drains", ({ status }) => status?.drains?.[0]?.phase === "Draining");
        assert.equal(draining.status?.drains?.[0]?.reason, "Evicted");
        assert.equal(await bench.client.evict(bench.namespace, name), "blocked");
        assert.ok((await bench.entryPods()).some((pod) => pod.metadata.uid === uid));
        bench.fleet.stuck.clear();
        await waitUntil("it is gone", async () => (await bench.client.evict(bench.namespace, name)) === "gone");
        await bench.untilReady();
        assert.deepEqual([...bench.fleet.drained], [uid]);
        const asked = answers.length;
        const [logic] = (
          await bench.client.list(PODS, bench.namespace, { labelSelector: "app.kubernetes.io/component=logic" })
        ).items;
        await bench.client.evict(bench.namespace, logic?.metadata.name ?? "");
        assert.equal(answers.length, asked, "nobody asks about other pods");
      } finally {
        await admission.close();
      }
    } finally {
      await bench.close();
    }
  });
});
