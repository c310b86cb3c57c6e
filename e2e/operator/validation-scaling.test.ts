// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import { refusal } from "./support/refusal.ts";
import { type ImApiServer, imCluster, startImApiServer } from "./support/shared-api-server.ts";
import { WRONG_SCALING } from "./support/wrong-scaling.ts";

let server: ImApiServer;
let namespace: string;
before(async () => {
  server = await startImApiServer();
  namespace = await server.makeNamespace();
});
after(() => server?.stop());

describe("the API server refuses, of scaling,", () => {
  for (const { what, spec = {}, name = "demo", field, remedy } of WRONG_SCALING) {
    it(what, async () => {
      const message = await refusal(server.client.create(IM_CLUSTER, imCluster(namespace, spec, name)));
      assert.ok(message.includes(field), `names ${field}: ${message}`);
      assert.match(message, remedy);
    });
  }
});

describe("the API server refuses the edit", () => {
  const autoscaling = { min: 2, max: 4 };
  const scaled = { entry: { replicas: 3, autoscaling } };
  const edits: [what: string, before: object, edit: object, remedy: RegExp][] = [
    ["of max below replicas", scaled, { entry: { autoscaling: { max: 2 } } }, /replicas must be within/],
    ["of min above max", scaled, { entry: { autoscaling: { min: 9 } } }, /swap them/],
    ["of replicas out of the bounds", scaled, { entry: { replicas: 9 } }, /change it, or the bounds/],
    [
      "that turns autoscaling on around others",
      { entry: { replicas: 7 } },
      { entry: { autoscaling } },
      /must be within/,
    ],
    ["that takes min away", scaled, { entry: { autoscaling: { min: null } } }, /min: Required/],
    ["of all policies away", scaled, { entry: { autoscaling: { policies: [] } } }, /at least 1 item/],
    [
      "of fewer connections than the buffer asks for",
      { entry: { autoscaling: { ...autoscaling, policies: [{ buffer: { freeConnections: 50_000 } }] } } },
      { entry: { maxConnectionsPerPod: 1_000 } },
      /lower freeConnections, or raise max/,
    ],
    ["that adds a name to *", { fencedEntries: ["*"] }, { fencedEntries: ["*", "a"] }, /alone for all/],
    ["of hibernate to a number", {}, { hibernate: 1 }, /boolean/],
  ];
  edits.forEach(([what, before, edit, remedy], index) => {
    it(what, async () => {
      const name = `edit-${index}`.replaceAll(/\d/g, (digit) => String.fromCharCode(97 + Number(digit)));
      await server.client.create(IM_CLUSTER, imCluster(namespace, before, name));
      assert.match(await refusal(server.client.patchMerge(IM_CLUSTER, namespace, name, { spec: edit })), remedy);
    });
  });

  it("by an autoscaler or kubectl scale that leaves the bounds", async () => {
    await server.client.create(IM_CLUSTER, imCluster(namespace, scaled, "scaled"));
    const scale = (replicas: number) =>
      server.client.patchMerge(IM_CLUSTER, namespace, "scaled", { spec: { replicas } }, { subresource: "scale" });
    assert.match(await refusal(scale(5)), /replicas must be within/);
    assert.match(await refusal(scale(0)), /replicas must be within|set spec\.hibernate/);
    await scale(4);
  });
});

describe("the API server accepts, of scaling,", () => {
  const entry = (autoscaling: object, more: object = {}) => ({
    entry: { autoscaling: { min: 1, max: 200, ...autoscaling }, ...more },
  });
  const policies = (...freeConnections: (number | string)[]) =>
    entry({ policies: freeConnections.map((free) => ({ buffer: { freeConnections: free } })) });
  const cron = (text: string, timezone = "UTC") =>
    entry({ policies: [{ schedule: { cron: text, duration: "168h", timezone }, buffer: { freeConnections: 0 } }] });
  const right: [what: string, spec: object][] = [
    ["shares and numbers", policies("0%", "9%", "90%", 0, 100_000)],
    ["the busiest schedule", cron("*/5,1-59/2 0-23 1,15,31 JAN,DEC MON-FRI", "America/Argentina/Buenos_Aires")],
    ["a zone with a sign", cron("0 0 * * 7", "Etc/GMT+8")],
    ["no stabilisation", entry({ scaleDown: { stabilization: "0s", maxPodsPerHour: 200 } })],
    ["one fixed number", entry({ min: 5, max: 5 }, { replicas: 5 })],
    ["hibernation with all fenced", { hibernate: true, fencedEntries: ["*"] }],
    [
      "the longest list of fenced entries",
      { fencedEntries: Array.from({ length: 200 }, (_, at) => `demo-entry-${at}`) },
    ],
  ];
  right.forEach(([what, spec], index) => {
    it(what, async () => {
      const name = `right-${String.fromCharCode(97 + index)}`;
      assert.notEqual(await server.client.create(IM_CLUSTER, imCluster(namespace, spec, name)), "exists");
    });
  });

  it("bounds alone, and fills in the rest", async () => {
    const made = await server.client.create(IM_CLUSTER, imCluster(namespace, entry({ min: 2 }), "bounds"));
    assert.ok(made !== "exists");
    assert.deepEqual(made.spec.entry.autoscaling, {
      ...{ min: 2, max: 200, policies: [{ buffer: { freeConnections: "15%" } }] },
      scaleDown: { stabilization: "30m", maxPodsPerHour: 4 },
    });
  });
});
