// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { createGrpcServer, type GrpcServer, unaryService } from "#lib/grpc.ts";
import { silentLogger } from "#lib/logger.ts";
import { serviceDefinition } from "#proto/load.ts";
import type { Pod } from "../kube/types.ts";
import { FleetClient } from "./fleet-client.ts";

const WHO = { clusterUid: "c", tls: undefined };
const MAX_IDLE = 3;
const MAX_TRIES = 20;

/** An entry on a loopback address of its own. */
const pod = (number: number): Pod => ({
  ...{ metadata: { name: `p${number}`, uid: `u${number}` }, spec: { containers: [] } },
  status: { podIP: `127.0.0.${number}` },
});

describe("connections to pods", () => {
  let server: GrpcServer;
  let port = 0;

  before(async () => {
    const reply = { incarnation: "i", connections: 1 };
    const definition = serviceDefinition("im.uplink.v1.EntryControl");
    const methods = Object.keys(definition).map((method) => [method, () => reply] as const);
    server = createGrpcServer({});
    server.addService(unaryService(definition, Object.fromEntries(methods)));
    port = await server.bind("0.0.0.0", 0);
  });
  after(() => server.close(0));

  async function withClient(body: (client: FleetClient, clock: FakeClock) => Promise<void>): Promise<void> {
    const clock = new FakeClock();
    const ports = { entry: port, logic: port };
    const client = new FleetClient({ clock, log: silentLogger, ports, maxIdle: MAX_IDLE });
    try {
      await body(client, clock);
    } finally {
      client.close();
    }
  }

  /** A busy machine may be late for a call's deadline. */
  async function heard(client: FleetClient, number: number): Promise<void> {
    for (let tries = 0; tries < MAX_TRIES; tries++) if (await client.status(WHO, pod(number))) return;
    assert.fail(`pod ${number} does not answer`);
  }

  it("are kept for a minute after their last use", () =>
    withClient(async (client, clock) => {
      await client.status(WHO, pod(1));
      clock.advance(59_000);
      await client.status(WHO, pod(2));
      assert.equal(client.connections, 2);
      clock.advance(1_500);
      await client.status(WHO, pod(2));
      assert.equal(client.connections, 1);
    }));

  it("are only so many, however many pods are asked in turn, and all pods are heard", () =>
    withClient(async (client) => {
      for (let number = 1; number <= 20; number++) {
        await heard(client, 1 + (number % 10));
        assert.ok(client.connections <= MAX_IDLE + 1, `${client.connections}`);
      }
    }));

  it("are not taken from calls that are under way, though there are more than are kept", () =>
    withClient(async (client) => {
      const calls = [1, 2, 3, 4, 5, 6, 7].map((number) => client.status(WHO, pod(number)));
      assert.equal(client.connections, 7);
      await Promise.all(calls);
      await client.status(WHO, pod(8));
      assert.ok(client.connections <= MAX_IDLE + 1, `${client.connections}`);
    }));
});
