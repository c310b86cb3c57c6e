// SPDX-License-Identifier: Apache-2.0
// Clients that learn the addresses of the fleet from it, on real processes whose entries die.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type EndpointList, endpointTransport, fetchEndpoints } from "../../client/src/endpoints.ts";
import { nodeFetch, nodeTransport } from "../../client/src/node.ts";
import { type Fleet, SERVER_NAME, startFleet } from "../harness/fleet.ts";
import { freePort } from "../harness/ports.ts";
import { login, targetOf, waitMessages } from "./fleet-suite.ts";

const WAIT_MS = 60_000;

describe("addresses of the fleet", () => {
  let fleet: Fleet | undefined;
  after(() => fleet?.stopAll());

  it("are dialled by rank, and an entry that dies leaves its clients to the other", async () => {
    const ports = [await freePort(), await freePort()] as const;
    const [direct, balancer] = ports.map((port) => `127.0.0.1:${port}`) as [string, string];
    fleet = await startFleet({
      ...{ entries: 2, logics: 1, entryTlsPorts: ports },
      entryEnv: { IM_ENDPOINTS: `balancer=${balancer},direct=${direct}*3` },
    });
    const tls = { ca: fleet.ca, servername: SERVER_NAME };
    const url = `tls://${balancer}`;
    const expected: EndpointList = {
      ttlMs: 300_000,
      endpoints: [
        { rank: 1, kind: "direct", address: direct, weight: 3 },
        { rank: 3, kind: "balancer", address: balancer, weight: 1 },
      ],
    };
    let list: EndpointList | undefined;
    // A machine that is held up may cut one; everything else in the list is exact.
    for (let tries = 0; !list; tries++) {
      list = await fetchEndpoints(url, nodeFetch(tls)).catch((error: unknown) => {
        if (tries >= 20) throw error;
        return undefined;
      });
    }
    assert.deepEqual(list, expected);

    const dialled: string[] = [];
    const transport = endpointTransport({
      ...{ fetch: nodeFetch(tls), initial: list },
      transport: () => {
        const inner = nodeTransport({ tls });
        return (target, listener) => {
          dialled.push(target);
          return inner(target, listener);
        };
      },
    });
    const alice = await login(fleet, "alice", { url: [url] }, { url, transport });
    const bob = await login(fleet, "bob", targetOf(fleet, "tls", 0, 1));
    try {
      assert.equal(dialled[0], `tls://${direct}`, "the best rank first, not the URL of the client");
      // Where she got through last, wherever that is.
      const at = dialled.at(-1) === `tls://${direct}` ? 0 : 1;
      await fleet.entry(at).kill9();
      await bob.client.send({ to: "alice", content: "where are you?" });
      await waitMessages(alice, 1, WAIT_MS);
      await alice.client.send({ to: "bob", content: "at the other one" });
      await waitMessages(bob, 1, WAIT_MS);
      assert.equal(dialled.at(-1), at === 0 ? url : `tls://${direct}`);
    } finally {
      await Promise.all([alice, bob].map(({ client }) => client.close()));
    }
  });
});
