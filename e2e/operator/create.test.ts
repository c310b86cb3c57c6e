// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CONDITION_TYPES } from "../../operator/api/conditions.ts";
import {
  DEPLOYMENTS,
  JOBS,
  PERSISTENT_VOLUME_CLAIMS,
  POD_DISRUPTION_BUDGETS,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  STATEFUL_SETS,
} from "../../operator/kube/types.ts";
import { Bench, conditionStatus, OPERAND_IMAGE } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server.stop());

describe("an empty spec", () => {
  let bench: Bench;
  before(async () => {
    bench = await Bench.open(server);
    await bench.startOperator();
    await bench.create();
    await bench.untilSettled();
  });
  after(() => bench.close());

  it("becomes a whole cluster with the names of the contract", async () => {
    const namesOf = async (resource: typeof SERVICES): Promise<string[]> =>
      (await server.client.list(resource, bench.namespace)).items.map(({ metadata }) => metadata.name).sort();
    assert.deepEqual(await namesOf(SERVICES), ["demo-entry", "demo-logic", "demo-postgres", "demo-redis"]);
    assert.deepEqual(await namesOf(DEPLOYMENTS as never), ["demo-extlogic", "demo-logic"]);
    assert.deepEqual(await namesOf(STATEFUL_SETS as never), ["demo-postgres", "demo-redis"]);
    assert.deepEqual(await namesOf(POD_DISRUPTION_BUDGETS as never), ["demo-entry", "demo-extlogic", "demo-logic"]);
    assert.deepEqual(await namesOf(SERVICE_ACCOUNTS as never), ["demo-entry", "demo-extlogic", "demo-logic"]);
    assert.deepEqual(await namesOf(SECRETS as never), [
      "demo-auth",
      "demo-internal-ca",
      "demo-internal-entry",
      "demo-internal-extlogic",
      "demo-internal-logic",
      "demo-postgres",
      "demo-postgres-extlogic",
      "demo-postgres-logic",
      "demo-push-keys",
      "demo-redis",
      "demo-redis-extlogic",
      "demo-redis-logic",
      "demo-tls",
      "demo-tls-ca",
    ]);
    assert.match((await namesOf(JOBS as never)).join(), /^demo-migrate-[0-9a-f]{8}$/);
    assert.deepEqual(await namesOf(PERSISTENT_VOLUME_CLAIMS as never), [], "this cluster has no StorageClass");
  });

  it("says so in its status", async () => {
    const cluster = await bench.get();
    const { status } = cluster;
    assert.equal(status?.phase, "Ready");
    assert.equal(status?.entry?.summary, "3/3");
    assert.equal(status?.entry?.replicas, 3);
    assert.equal(status?.logic?.summary, "2/2");
    assert.equal(status?.version, "0.1.0");
    assert.equal(status?.image, OPERAND_IMAGE);
    assert.equal(status?.address, "192.0.2.10");
    assert.equal(status?.pods?.length, 3);
    assert.equal(status?.conditions?.length, CONDITION_TYPES.length);
    const trueOnes = [
      "Ready",
      "EntriesReady",
      "LogicReady",
      "StoreReady",
      "RouterReady",
      "LoadBalancerReady",
      "SchemaMigrated",
      "EmbeddedDatastores",
    ];
    for (const type of trueOnes) assert.equal(conditionStatus(cluster, type), "True", type);
    for (const type of ["Progressing", "Degraded", "Paused"])
      assert.equal(conditionStatus(cluster, type), "False", type);
    const embedded = status?.conditions?.find(({ type }) => type === "EmbeddedDatastores");
    assert.match(embedded?.message ?? "", /trying out.*spec\.postgres\.urlSecretRef.*no StorageClass.*lost/);
  });
});
