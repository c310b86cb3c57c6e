// SPDX-License-Identifier: Apache-2.0
// What the chart lets the operator do. That all of it is used, and nothing else: e2e/operator/least-privilege.test.ts.
import assert from "node:assert/strict";
import { basename } from "node:path";
import { describe, it } from "node:test";
import { boundRoles, FORBIDDEN, forbiddenIn, grantsOf, phraseOf, type Rule, usedIn } from "./testing/grants.ts";
import { ciValues, type Manifest, render } from "./testing/helm.ts";

const rulesOf = (manifests: readonly Manifest[]): Rule[] =>
  boundRoles(manifests).roles.flatMap(({ rules = [] }) => rules);

describe("the operator's rights", () => {
  for (const values of ciValues("im-operator")) {
    it(`hold nothing that is forbidden: ${basename(values)}`, async () => {
      const rules = rulesOf(await render("im-operator", ["-f", values]));
      assert.equal(rules.length > 0, !values.includes("own-account"));
      assert.deepEqual(forbiddenIn(rules), []);
    });
  }

  it("are found to be too wide with any of the forbidden ones, or with a wildcard", async () => {
    const rules = rulesOf(await render("im-operator"));
    assert.ok(FORBIDDEN.length >= 30, `${FORBIDDEN.length}`);
    for (const one of FORBIDDEN) {
      const { verb, group, resource } = one;
      const planted = { apiGroups: [group], resources: [resource], verbs: [verb] };
      assert.deepEqual(forbiddenIn([...rules, planted]), [phraseOf(one)]);
    }
    const every = forbiddenIn([{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]);
    for (const one of FORBIDDEN) assert.ok(every.includes(phraseOf(one)), phraseOf(one));
    assert.deepEqual(forbiddenIn([{ apiGroups: [""], resources: ["pods/*"], verbs: ["create"] }]).slice(0, 2), [
      "wildcard pods/*",
      "create /pods/exec",
    ]);
    assert.deepEqual(forbiddenIn([{ nonResourceURLs: ["/metrics"], verbs: ["get"] }]), ["path /metrics"]);
  });

  it("on webhooks are for those of its name", async () => {
    const rules = rulesOf(await render("im-operator"));
    const wider = rules.map(({ resourceNames: _, ...rule }) => rule);
    assert.deepEqual(forbiddenIn(wider), [
      "get admissionregistration.k8s.io/validatingwebhookconfigurations of any name",
      "patch admissionregistration.k8s.io/validatingwebhookconfigurations of any name",
    ]);
  });

  it("are those of roles that are bound, not of those that people may be given", async () => {
    const manifests = await render("im-operator");
    const names = boundRoles(manifests).roles.map(
      ({ kind, metadata }) => `${kind} ${metadata.name.replace("test-im-operator", "")}`,
    );
    assert.deepEqual(names.sort(), ["ClusterRole ", "ClusterRole -admission", "Role -admission", "Role -leader"]);
    assert.ok(!grantsOf(rulesOf(manifests)).includes("get imcluster.io/imclusters"), "that is of the role for viewers");
  });
});

describe("an audit log", () => {
  it("says what was used, also what an apply did", () => {
    const apply = (code: number) => ({ verb: "patch", objectRef: { resource: "services" }, responseStatus: { code } });
    assert.deepEqual(usedIn([apply(200), apply(200)]), ["patch /services"]);
    assert.deepEqual(usedIn([apply(201)]), ["create /services", "patch /services"]);
    const status = {
      verb: "patch",
      objectRef: { apiGroup: "imcluster.io", resource: "imclusters", subresource: "status" },
    };
    assert.deepEqual(usedIn([status, { verb: "get" }]), ["patch imcluster.io/imclusters/status"]);
  });
});
