// SPDX-License-Identifier: Apache-2.0
// The operator's audit of the router, against real entries, logics, PostgreSQL and Redis.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { FleetClient } from "../../operator/imcluster/fleet-client.ts";
import type { Pod } from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { redisCli } from "../harness/redis.ts";
import { login, targetOf, useFleet } from "./fleet-suite.ts";

const WHO = { clusterUid: "test", tls: undefined };
const USERS = 20;
const WAIT_MS = 60_000;

describe("the audit of the router", () => {
  const fleet = useFleet({ entries: 2, logics: 1, env: { IM_LEASE_TTL_MS: "60000", IM_PING_INTERVAL_MS: "10000" } });
  const clients: FleetClient[] = [];
  after(() => {
    for (const client of clients) client.close();
  });

  function operator(entry: number): FleetClient {
    const logic = Number(fleet().logicTargets[0]?.split(":").at(-1));
    const ports = { entry: fleet().entry(entry).controlPort, logic };
    const client = new FleetClient({ clock: systemClock, log: silentLogger, ports });
    clients.push(client);
    return client;
  }

  const podOf = (uid: string): Pod => ({
    metadata: { name: uid, uid },
    spec: { containers: [] },
    status: { podIP: "127.0.0.1" },
  });

  /** What an entry calls itself, once it is attached. */
  async function incarnationOf(entry: number, before = ""): Promise<string> {
    const client = operator(entry);
    let told = "";
    await waitUntil(
      "the entry tells its incarnation",
      async () => {
        told = (await client.status(WHO, podOf(fleet().entry(entry).podUid)))?.incarnation ?? "";
        return told !== "" && told !== before;
      },
      WAIT_MS,
    );
    return told;
  }

  const livingOf = (...entries: [entry: number, incarnation: string][]) =>
    entries.map(([entry, incarnation]) => ({ podUid: fleet().entry(entry).podUid, incarnation }));
  const audit = (...living: [entry: number, incarnation: string][]) =>
    operator(0).audit(WHO, [podOf("logic")], { living: livingOf(...living), force: false });
  const indexOf = async (incarnation: string) => await redisCli(fleet().redis.port, "KEYS", `e:{${incarnation}}:*`);

  it("takes away what a killed process left, once its successor has told, and nothing else", async (t) => {
    const away = { timing: { backoffBaseMs: 600_000, backoffCapMs: 600_000 } };
    for (let user = 0; user < USERS; user++) await login(fleet(), `ghost-${user}`, targetOf(fleet(), "tcp", 1), away);
    const { client } = await login(fleet(), "alive", targetOf(fleet(), "tcp", 0));
    const [first, old] = [await incarnationOf(0), await incarnationOf(1)];
    assert.deepEqual(await audit([0, first], [1, old]), { deleted: 0, remaining: 0 });
    await fleet().entry(1).kill9();
    assert.deepEqual(await audit([0, first], [1, ""]), { deleted: 0, remaining: 0 }, "it may be alive for all we know");
    await fleet().entry(1).start();
    await fleet().entry(1).waitReady();
    const next = await incarnationOf(1, old);
    assert.notEqual(await indexOf(old), "", "a minute of lease is left");
    const askedMs = performance.now();
    assert.deepEqual(await audit([0, first], [1, next]), { deleted: USERS, remaining: 0 });
    t.diagnostic(`${USERS} routes removed in ${Math.round(performance.now() - askedMs)} ms`);
    assert.equal(await indexOf(old), "");
    assert.equal(await redisCli(fleet().redis.port, "EXISTS", `lease:{${old}}`), "0");
    assert.equal(await redisCli(fleet().redis.port, "EXISTS", `tomb:{${old}}`), "1");
    assert.deepEqual(await audit([0, first], [1, next]), { deleted: 0, remaining: 0 });
    const { client: friend, messages } = await login(fleet(), "friend", targetOf(fleet(), "tcp", 1));
    await client.send({ to: "friend", content: "we are both still here" });
    await waitUntil("the message arrives", () => messages.length === 1, WAIT_MS);
    await Promise.all([client.close(), friend.close()]);
  });
});
