// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databaseUrl, secondManifest } from "./second-fleet.ts";

describe("the second fleet", () => {
  it("has a database of the same server, seen from inside and from outside", () => {
    const url = "postgres://im:p%40ss@demo-postgres.imcluster-demo.svc:5432/im?sslmode=disable";
    const inside = "postgres://im:p%40ss@demo-postgres.imcluster-demo.svc:5432/second?sslmode=disable";
    assert.equal(databaseUrl(url, "second"), inside);
    assert.equal(
      databaseUrl(url, "postgres", "10.90.0.7"),
      "postgres://im:p%40ss@10.90.0.7:5432/postgres?sslmode=disable",
    );
  });

  it("outlives its deletion: database, keys and certificate are not its own", () => {
    const { spec } = secondManifest() as { spec: Record<string, Record<string, unknown>> };
    assert.deepEqual(spec.postgres, { urlSecretRef: { name: "second-database", key: "url" } });
    assert.equal(spec.tls?.secretName, "demo-tls");
    assert.deepEqual(spec.auth?.jwksSecretRef, { name: "demo-auth", key: "jwks.json" });
  });
});
