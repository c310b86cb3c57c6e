// SPDX-License-Identifier: Apache-2.0
// A real API server asks the webhook about edits of an ImCluster, and hands what it warns of to whoever edits.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import type { KubeClient } from "../../operator/kube/client.ts";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { createKubeClient, loadKubeConfig } from "../../operator/kube/rest-client.ts";
import { waitUntil } from "../harness/processes.ts";
import { startAdmission } from "./support/admission.ts";
import { Bench } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

/** Somebody at a keyboard. */
class Person {
  readonly client: KubeClient;
  readonly #heard: string[] = [];
  readonly #namespace: string;

  constructor(path: string, namespace: string) {
    this.#namespace = namespace;
    this.client = createKubeClient({
      ...{ kubeConfig: loadKubeConfig({ path }), fieldManager: "kubectl" },
      onWarning: (text) => void this.#heard.push(text),
    });
  }

  /** @returns what the API server warns of */
  async edit(spec: object, options: { dryRun?: boolean; subresource?: "scale" } = {}): Promise<string[]> {
    await waitUntil("the edit is taken", async () => {
      this.#heard.length = 0;
      try {
        return (await this.client.patchMerge(IM_CLUSTER, this.#namespace, "demo", { spec }, options)) !== undefined;
      } catch (thrown) {
        // The operator wrote in between, again and again.
        if (thrown instanceof KubeError && thrown.status === 409) return false;
        throw thrown;
      }
    });
    return [...this.#heard];
  }
}

describe("an edit of an ImCluster", () => {
  it("says how many sessions will reconnect, how long and how fast, and nothing when none does", async () => {
    const bench = await Bench.open(server);
    const person = new Person(server.api.kubeconfigPath, bench.namespace);
    try {
      const operator = await bench.startOperator();
      await bench.create({ entry: { replicas: 3 }, logic: { replicas: 1 } });
      const three = ({ pods = [] }: { pods?: { sessions?: number }[] } = {}) =>
        pods.filter(({ sessions }) => sessions === 3).length === 3;
      await bench.until(
        "the status has the sessions of all",
        ({ status }) => three(status) && status?.phase === "Ready",
      );
      const admission = await startAdmission(server, bench, operator);
      try {
        // The API server takes a new webhook into use within about a second.
        const fewer = { entry: { replicas: 1 } };
        let heard: string[] = [];
        await waitUntil("the webhook is asked", async () => {
          heard = await person.edit(fewer, { dryRun: true });
          return heard.length > 0;
        });
        assert.deepEqual(heard, ['299 - "6 sessions will reconnect within about 19 s, at most 1 per second"']);
        const roll = await person.edit({ entry: { maxConnectionsPerPod: 12_345 } }, { dryRun: true });
        assert.match(roll.join(), /9 sessions will reconnect within about \d+ s, at most 1 per second/);
        const off = await person.edit({ hibernate: true }, { dryRun: true });
        assert.match(off.join(), /9 sessions will be closed, and cannot come back before there are entries again/);
        assert.match((await person.edit({ replicas: 2 }, { dryRun: true, subresource: "scale" })).join(), /3 sessions/);

        for (const spec of [{ entry: { replicas: 4 } }, { logic: { replicas: 2 } }, {}])
          assert.deepEqual(await person.edit(spec, { dryRun: true }), []);
        assert.equal((await bench.get()).spec.entry.replicas, 3, "dry runs change nothing");
        assert.match((await person.edit({ entry: { replicas: 2 } })).join(), /3 sessions will reconnect/);
        assert.equal((await bench.get()).spec.entry.replicas, 2, "the edit is not refused");

        await person.edit({ paused: true, entry: { maxConnectionsPerPod: 12_345 } });
        await bench.until("the status has what the pause holds back", ({ status }) => {
          const { changes = [], sessionsAffected = 0 } = status?.plan ?? {};
          return sessionsAffected > 0 && changes.some((change) => change.includes("of another revision"));
        });
        assert.match((await person.edit({ paused: false }, { dryRun: true })).join(), /sessions will reconnect within/);
      } finally {
        await admission.close();
      }
      // The webhook is gone; a configuration that the API server still has asks nobody, and lets everything through.
      await person.edit({ entry: { replicas: 1 } });
      assert.equal((await bench.get()).spec.entry.replicas, 1);
    } finally {
      person.client.close();
      await bench.close();
    }
  });
});
