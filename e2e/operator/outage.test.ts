// SPDX-License-Identifier: Apache-2.0
// The operator while the API server is away.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { createKubeClient, loadKubeConfig } from "../../operator/kube/rest-client.ts";
import { Bench } from "./support/bench.ts";
import { Crash, hookedClient } from "./support/counting-client.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

describe("an API server", () => {
  it("that is killed and started again finds the operator where it left it", async () => {
    const bench = await Bench.open(server);
    const client = createKubeClient({ kubeConfig: loadKubeConfig({ path: server.api.kubeconfigPath }) });
    try {
      await bench.startOperator(client);
      await bench.create({ entry: { replicas: 1 } });
      await bench.untilReady();
      await bench.stopKubelet();
      await server.api.restart();
      bench.startKubelet();
      await bench.patchSpec({ entry: { replicas: 3 } });
      await bench.untilReady();
      assert.equal((await bench.entryPods()).length, 3);
    } finally {
      await bench.close();
      client.close();
    }
  });

  it("that refuses every third write does not keep a cluster from becoming Ready, nor makes a pod too many", async () => {
    const bench = await Bench.open(server);
    let writes = 0;
    const crash = new Crash(Number.POSITIVE_INFINITY);
    const flaky = hookedClient(bench.client, {
      ...crash.hooks,
      afterWrite: (description) => {
        writes++;
        // The write was done; its answer got lost.
        if (writes % 3 === 0) throw new KubeError(0, "Network", `lost the answer to ${description}`);
      },
    });
    try {
      await bench.startOperator(flaky);
      await bench.create({ entry: { replicas: 3 } });
      let most = 0;
      await bench.until("Ready", async ({ status }) => {
        most = Math.max(most, (await bench.entryPods()).length);
        return status?.phase === "Ready";
      });
      assert.ok(writes > 30);
      assert.ok(most <= 4, `${most} pods`);
      assert.equal((await bench.entryPods()).filter(({ metadata }) => !metadata.deletionTimestamp).length, 3);
    } finally {
      await bench.close();
    }
  });
});
