// SPDX-License-Identifier: Apache-2.0
// What the values of im-cluster change in its objects, and what stands in the way of an installation.
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { byKind, CHARTS, chartFile, chartPath, ciValues, render, runHelm } from "./testing/helm.ts";
import { type KeySchema, leavesOf, setPaths } from "./testing/value-keys.ts";

const refusal = async (release: string, ...args: string[]): Promise<string> => {
  const { code, stderr } = await runHelm(["template", release, chartPath("im-cluster"), ...args]);
  assert.notEqual(code, 0);
  return stderr;
};

describe("paths of values", () => {
  it("are the same of a schema and of what is set", () => {
    const text = { type: "string" };
    const schema: KeySchema = {
      properties: { a: text, list: { items: { properties: { b: text } } }, names: { items: text } },
    };
    assert.deepEqual(leavesOf(schema), ["a", "list[].b", "names[]"]);
    const set = new Set(setPaths({ a: 1, list: [{ b: 2 }], names: [] }));
    assert.deepEqual(
      leavesOf(schema).filter((path) => !set.has(path)),
      [],
    );
    assert.ok(!new Set(setPaths({ list: [{}] })).has("list[].b"));
  });
});

describe("samples of im-cluster", () => {
  it("set every field of an ImCluster and every other value once at least", () => {
    const set = new Set(
      ciValues("im-cluster").flatMap((path) => setPaths(chartFile("im-cluster", join("ci", basename(path))))),
    );
    // Who may be named in one list of peers may be named in each.
    const isPeer = (path: string): boolean => /^spec[.]networkPolicy[.]\w+\[\][.]/.test(path);
    const amounts = (path: string): boolean => path.startsWith("test.resources.");
    const all = leavesOf(chartFile<KeySchema>("im-cluster", "values.schema.json"));
    assert.ok(all.length > 200, `${all.length}`);
    assert.deepEqual(
      all.filter((path) => path !== "global" && !isPeer(path) && !amounts(path) && !set.has(path)),
      [],
    );
  });
});

describe("objects of im-cluster", () => {
  it("have the usual labels, of the part that they are", async () => {
    const labels = (await render("im-cluster")).map(({ kind, metadata: { labels = {} } }) => [
      ...[kind, labels["app.kubernetes.io/component"], labels["app.kubernetes.io/part-of"]],
      typeof labels["app.kubernetes.io/version"],
    ]);
    assert.deepEqual(labels, [
      ["ImCluster", "fleet", "imcluster", "string"],
      ["Pod", "test", "imcluster", "string"],
    ]);
  });

  it("the pod of helm test runs where entries may run", async () => {
    const [pod] = byKind(await render("im-cluster", ["-f", join(CHARTS, "im-cluster/ci/full-values.yaml")]), "Pod");
    assert.deepEqual(pod?.spec?.nodeSelector, { "node-pool": "chat" });
    assert.deepEqual(pod?.spec?.tolerations, [
      { key: "dedicated", operator: "Equal", value: "chat", effect: "NoExecute", tolerationSeconds: 60 },
    ]);
    const [usual] = byKind(await render("im-cluster"), "Pod");
    assert.ok(usual?.spec && !("nodeSelector" in usual.spec) && !("tolerations" in usual.spec));
  });
});

describe("an installation of im-cluster", () => {
  for (const release of ["shop.v1", "1shop", "s".repeat(41)])
    it(`as ${release} is refused with what to set`, async () => {
      assert.match(await refusal(release), /cannot be called .* like this release.*--set name=shop/s);
      const [made] = byKind(await render("im-cluster", ["--set=name=shop"], release), "ImCluster");
      assert.equal(made?.metadata.name, "shop");
    });

  for (const group of ["spec", "test"])
    it(`whose values lack ${group} says so, and how to upgrade`, async () => {
      const said = await refusal("shop", `--set-json=${group}=null`);
      assert.match(said, new RegExp(`the values lack ${group}:.*--reset-then-reuse-values`));
    });
});
