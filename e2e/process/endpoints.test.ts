// SPDX-License-Identifier: Apache-2.0
// Clients that learn the addresses of the fleet from it, on real processes whose entries die.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type EndpointList, endpointTransport, fetchEndpoints } from "../../client/src/endpoints.ts";
import { nodeFetch, nodeTransport } from "../../client/src/node.ts";
import { type Fleet, SERVER_NAME, startFleet } from "../harness/fleet.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, waitMessages } from "./fleet-suite.ts";

const WAIT_MS = 60_000;

describe("addresses of the fleet", () => {
  let fleet: Fleet | undefined;
  after(() => fleet?.stopAll());

  it("are dialled by rank, and an entry that dies leaves its clients to the next", async () => {
    const ports = [await freePort(), await freePort()] as const;
    const [direct, balancer] = ports.map((port) => `127.0.0.1:${port}`) as [string, string];
    fleet = await startFleet({
      ...{ entries: 2, logics: 1, entryTlsPorts: ports },
      entryEnv: { IM_ENDPOINTS: `balancer=${balancer},direct=${direct}*3` },
    });
    const tls = { ca: fleet.ca, servername: SERVER_NAME };
    const request = nodeFetch(tls);
    const url = `tls://${balancer}`;
    const list = await fetchEndpoints(url, request);
    assert.deepEqual(list, {
      ttlMs: 300_000,
      endpoints: [
        { rank: 1, kind: "direct", address: direct, weight: 3 },
        { rank: 3, kind: "balancer", address: balancer, weight: 1 },
      ],
    });

    const kept: EndpointList[] = [];
    const transport = endpointTransport({
      ...{ fetch: request, initial: list, onList: (fresh: EndpointList) => kept.push(fresh) },
      transport: () => nodeTransport({ tls }),
    });
    const alice = await login(fleet, "alice", { url: [url] }, { url, transport });
    const bob = await login(fleet, "bob", targetOf(fleet, "tls", 1));
    try {
      const sessions = (index: number) => fleet?.entry(index).metric("im_entry_sessions");
      await waitUntil("alice is at the entry of the best rank", async () => (await sessions(0)) === 1, WAIT_MS);
      await waitUntil("the list came from there, too", () => kept.length > 0, WAIT_MS);
      assert.deepEqual(kept[0], list);
      await fleet.entry(0).kill9();
      await bob.client.send({ to: "alice", content: "where are you?" });
      await waitMessages(alice, 1, WAIT_MS);
      await alice.client.send({ to: "bob", content: "at the next one" });
      await waitMessages(bob, 1, WAIT_MS);
      assert.equal(await sessions(1), 2);
    } finally {
      await Promise.all([alice, bob].map(({ client }) => client.close()));
    }
  });
});
