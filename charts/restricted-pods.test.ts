// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type ImApiServer, startImApiServer } from "../e2e/operator/support/shared-api-server.ts";
import { allPods } from "./testing/all-pods.ts";
import { tryPods } from "./testing/pod-trials.ts";
import { WEAKENINGS } from "./testing/weak-pods.ts";

const ALL = ["entry", "logic", "extlogic", "migrate", "postgres", "redis", "operator", "helm test"];

describe("pods in a namespace that enforces Pod Security", () => {
  let server: ImApiServer;
  before(async () => {
    server = await startImApiServer();
  });
  after(() => server?.stop());

  it("are taken as the charts and the operator make them, and refused with any one control weakened", async (t) => {
    const { taken, refused, faults } = await tryPods(server, await allPods());
    t.diagnostic(`${taken.length} kinds of pods, ${refused} weakened ones refused`);
    assert.deepEqual(faults, []);
    assert.deepEqual(taken, ALL);
    assert.equal(refused, ALL.length * WEAKENINGS.filter(({ said }) => said !== undefined).length);
  });

  it("are noticed when one of them is not restricted", async () => {
    const [[name, spec] = ["", { containers: [] }]] = await allPods();
    const { taken, faults } = await tryPods(server, [
      [name, { ...spec, hostIPC: true, shareProcessNamespace: false } as never],
    ]);
    assert.deepEqual(taken, []);
    assert.ok(
      faults.some((fault) => fault.startsWith("entry: hostIPC")),
      faults.join(),
    );
  });
});
