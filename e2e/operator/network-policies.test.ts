// SPDX-License-Identifier: Apache-2.0
// NetworkPolicies on a real API server: it takes them as they are built, and they come, change and go with the spec.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { NETWORK_POLICIES, type NetworkPolicy } from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

const EVERY = ["default-deny", "entry", "extlogic", "logic", "migrate", "postgres", "redis"].map(
  (part) => `demo-${part}`,
);

describe("the NetworkPolicies of a cluster", () => {
  let server: ImApiServer;
  let bench: Bench;
  before(async () => {
    server = await startImApiServer();
    bench = await Bench.open(server);
    await bench.startOperator();
    await bench.create({
      networkPolicy: {},
      logic: { serverApi: {} },
      extlogic: { webhook: { url: "https://a.example" } },
    });
    await bench.untilSettled();
  });
  after(async () => {
    await bench?.close();
    await server?.stop();
  });

  const policies = async (): Promise<NetworkPolicy[]> =>
    (await server.client.list(NETWORK_POLICIES, bench.namespace)).items;
  const names = async (): Promise<string[]> => (await policies()).map(({ metadata }) => metadata.name).sort();
  const entryFrom = async (): Promise<unknown> =>
    (await policies()).find(({ metadata }) => metadata.name === "demo-entry")?.spec.ingress?.[0]?.from;

  it("are there when it is ready, and belong to it", async () => {
    assert.deepEqual(await names(), EVERY);
    for (const { metadata } of await policies()) assert.equal(metadata.ownerReferences?.[0]?.name, "demo");
  });

  it("change with the spec", async () => {
    assert.equal(await entryFrom(), undefined, "everyone");
    const clientsFrom = [{ ipBlock: { cidr: "20.0.0.0/8", except: ["20.1.0.0/16"] } }];
    await bench.patchSpec({ networkPolicy: { clientsFrom } });
    await waitUntil("the range is there", async () => (await entryFrom()) !== undefined);
    assert.deepEqual(await entryFrom(), clientsFrom);
    await bench.patchSpec({ networkPolicy: { clientsFrom: null } });
    await waitUntil("everyone again", async () => (await entryFrom()) === undefined);
  });

  it("come back when somebody deletes one, and go when the spec wants none", async () => {
    const [first] = (await policies()).filter(({ metadata }) => metadata.name === "demo-redis");
    await server.client.delete(NETWORK_POLICIES, bench.namespace, "demo-redis", { uid: first?.metadata.uid ?? "" });
    await waitUntil("all again", async () => (await names()).length === EVERY.length);
    await bench.patchSpec({ networkPolicy: null });
    await waitUntil("none", async () => (await names()).length === 0);
  });
});
