// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readShown } from "./database.ts";
import { fleetOn, onLocalCluster, shownOn } from "./manifests.ts";

const fenced = (yaml: string): string => `\`\`\`yaml\n${yaml}\n\`\`\`\n`;
const DATABASE =
  "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: { name: db }\nspec: { instances: 3, storage: { size: 1Ti } }";
const partOf = (name: string): string => `postgres:\n  urlSecretRef: { name: ${name}, key: uri }`;
const PAGE = `# Page\n${fenced(DATABASE)}text\n${fenced(partOf("db-app"))}`;

describe("the page that users take the database from", () => {
  const shown = readShown();

  it("shows one that loses nothing acknowledged: standbys, one of them always with the commit", () => {
    assert.ok(shown.database.spec.instances >= 3);
    const { synchronous } = shown.database.spec.postgresql as { synchronous: object };
    assert.deepEqual(synchronous, { method: "any", number: 1, dataDurability: "required" });
  });

  it("says how an ImCluster is told of it: by the Secret that CloudNativePG makes", () => {
    assert.equal(shown.part.postgres.urlSecretRef.name, `${shown.database.metadata.name}-app`);
  });
});

describe("what is taken from a page", () => {
  it("is the Cluster and the part that names its Secret, among others", () => {
    const other = fenced("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }");
    const { database, part } = shownOn(`${other}${PAGE}${fenced(partOf("another"))}${fenced("- 1\n---\nnull")}`);
    assert.equal(database.metadata.name, "db");
    assert.deepEqual(part, { postgres: { urlSecretRef: { name: "db-app", key: "uri" } } });
  });

  it("must be there, once", () => {
    assert.throws(() => shownOn("# Page\n"), /shows 0 Clusters/);
    assert.throws(() => shownOn(fenced(DATABASE)), /0 parts with postgres.urlSecretRef of db-app/);
    assert.throws(() => shownOn(PAGE + fenced(DATABASE)), /shows 2 Clusters/);
    assert.throws(() => shownOn(PAGE.replace("postgresql.cnpg.io", "cluster.x-k8s.io")), /shows 0 Clusters/);
  });

  it("is applied as it is, but for place, images and size", () => {
    const { database } = shownOn(PAGE);
    const local = onLocalCluster(database, "here", "registry/postgres:15.1");
    const { imageName, imagePullPolicy, storage, ...rest } = local.spec;
    assert.deepEqual([local.metadata, rest], [{ name: "db", namespace: "here" }, { instances: 3 }]);
    assert.deepEqual(
      [imageName, imagePullPolicy, storage],
      ["registry/postgres:15.1", "IfNotPresent", { size: "2Gi" }],
    );
    assert.deepEqual(database.spec, { instances: 3, storage: { size: "1Ti" } }, "what was shown is as it was");
  });

  it("is the fleet's only database", () => {
    const fleet = fleetOn(shownOn(PAGE), { name: "cnpg", namespace: "here" }) as { spec: Record<string, unknown> };
    assert.deepEqual(fleet.spec.postgres, { urlSecretRef: { name: "db-app", key: "uri" } });
  });
});
