// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "#lib/logger.ts";
import { startApiServer } from "../../e2e/harness/api-server.ts";
import { LeaderElection } from "./leader-election.ts";
import { createKubeClient, loadKubeConfig } from "./rest-client.ts";
import { until } from "./testing/wait.ts";
import { LEASES } from "./types.ts";

/** Its renewals survive an API server that is slow for seconds, as on a busy machine. */
const LEASE_DURATION_MS = 9_000;

test("on a real API server: one leads, hands over, and gives up a frozen server", { timeout: 300_000 }, async (t) => {
  const server = await startApiServer();
  t.after(() => server.stop());
  const candidates = ["a", "b", "c"].map((identity) => {
    const client = createKubeClient({ kubeConfig: loadKubeConfig({ path: server.kubeconfigPath }) });
    const lost: string[] = [];
    const election = new LeaderElection({
      client,
      namespace: "default",
      name: "im-operator",
      identity,
      log: silentLogger,
      leaseDurationMs: LEASE_DURATION_MS,
      renewDeadlineMs: 6_000,
      retryPeriodMs: 100,
      onLeading: () => undefined,
      onLost: (reason) => lost.push(reason),
    });
    election.start();
    return { identity, client, election, lost };
  });
  const leaders = () => {
    const leading = candidates.filter(({ election }) => election.isLeader);
    assert.ok(leading.length <= 1, `${leading.length} leaders`);
    return leading;
  };

  await until("one leads", () => leaders().length === 1);
  const first = leaders()[0];
  assert.ok(first);
  const lease = await first.client.get(LEASES, "default", "im-operator");
  assert.equal(lease?.spec.holderIdentity, first.identity);
  assert.match(lease?.spec.renewTime ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);

  const handedOverAtMs = performance.now();
  await first.election.close();
  await until("another leads", () => leaders().length === 1);
  const second = leaders()[0];
  assert.ok(second && second !== first);
  assert.ok(performance.now() - handedOverAtMs < LEASE_DURATION_MS - 1_000, "without waiting for the end of the lease");
  assert.deepEqual(first.lost, []);

  server.pause();
  await until("it gives up", () => second.lost.length === 1);
  assert.equal(leaders().length, 0);
  server.resume();
  await until("the third leads", () => leaders().length === 1, 40_000);
  assert.equal((await second.client.get(LEASES, "default", "im-operator"))?.spec.leaseTransitions, 2);

  await Promise.all(candidates.map(({ election }) => election.close()));
  for (const { client } of candidates) client.close();
});
