// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NETWORK_TABLE, type Row } from "../../operator/imcluster/testing/network-table.ts";
import type { Shipped } from "../../scripts/release/lock.ts";
import { isFinding, verdictOf } from "./checks.ts";
import { judgePackages, judgeRights, lookAtNetwork, lookAtPackages } from "./manifests.ts";

const [first] = NETWORK_TABLE;
const row = (change: Partial<Row>): Row[] => [{ what: "x", policies: [], expected: [], ...first, ...change }];

describe("what needs no fleet", () => {
  it("rights: one that is forbidden is a finding, and so is a chart that grants none", () => {
    const named = { apiVersion: "rbac.authorization.k8s.io/v1", metadata: { name: "r" } };
    const withRole = (verbs: string[], resources: string[]) => [
      { ...named, kind: "ClusterRole", rules: [{ apiGroups: [""], resources, verbs }] },
      { ...named, kind: "ClusterRoleBinding", roleRef: { kind: "ClusterRole", name: "r" } },
    ];
    const details = (manifests: Parameters<typeof judgeRights>[0]) =>
      judgeRights(manifests)
        .checks.filter(isFinding)
        .map(({ detail }) => detail);
    assert.deepEqual(details(withRole(["list"], ["pods"])), []);
    assert.deepEqual(details(withRole(["list"], ["secrets"])), ["list /secrets"]);
    assert.deepEqual(details(withRole(["list"], ["secrets"]).slice(0, 1)), ["no right is rendered"], "bound to nobody");
    const { figures } = judgeRights(withRole(["get", "list"], ["pods"]));
    assert.equal(figures.rightsGranted, 2);
    assert.ok((figures.rightsForbidden ?? 0) >= 30);
  });

  it("network: a pair that is not in the table is a finding, and so is one that is missing", () => {
    const { expected = [] } = first ?? {};
    const extra = lookAtNetwork(row({ expected: expected.slice(1) })).checks.filter(isFinding);
    assert.match(extra.map(({ detail }) => detail).join(), /gets through/);
    const missing = lookAtNetwork(row({ expected: [...expected, "redis > client:443"] })).checks.filter(isFinding);
    assert.match(missing.map(({ detail }) => detail).join(), /redis > client:443 does not get through/);
  });

  it("packages: counted against what was wished, which is told and turns nothing red", async () => {
    const { checks, figures } = await lookAtPackages();
    assert.equal(verdictOf(checks).ok, true);
    assert.ok((figures.packages ?? 0) > 10);
    assert.equal(
      checks.some(({ fault }) => fault === "low"),
      (figures.packages ?? 0) > 40 || (figures.installScripts ?? 0) > 0,
    );
    const bare = { name: "a", path: "node_modules/a", version: "1.0.0", hasInstallScript: true } satisfies Shipped;
    const found = judgePackages([bare], 1).checks.filter(({ fault }) => fault !== undefined);
    assert.deepEqual(
      found.map(({ fault, detail }) => [fault, detail]),
      [
        ["high", "a"],
        ["low", "a: never run"],
      ],
    );
  });
});
