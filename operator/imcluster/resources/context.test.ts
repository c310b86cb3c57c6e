// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClusterMemory } from "../observe.ts";
import { contentHashes } from "../secrets.ts";
import { OPERANDS, sampleCluster } from "../testing/sample.ts";
import { buildContext, perContext } from "./context.ts";
import { disruptionBudget } from "./policy.ts";
import { datastoreService } from "./services.ts";

const HASHES = contentHashes(sampleCluster(), new Map());
const made = (cluster = sampleCluster(), hashes = HASHES, kind: "pod" | "external" = "pod") =>
  buildContext(cluster, OPERANDS, hashes, { kind });

describe("a builder", () => {
  it("builds once for each context and each further argument", () => {
    let count = 0;
    const build = perContext(
      ({ namespace }, part: string, number?: number) => `${namespace} ${part} ${number} ${count++}`,
    );
    const [one, other] = [made(), made()];
    assert.deepEqual(
      [build(one, "a"), build(one, "a"), build(one, "b"), build(one, "a", 1), build(other, "a")],
      ["shop a undefined 0", "shop a undefined 0", "shop b undefined 1", "shop a 1 2", "shop a undefined 3"],
    );
  });

  it("tells components and numbers apart", () => {
    const context = made();
    assert.notEqual(datastoreService(context, "redis"), datastoreService(context, "postgres"));
    const budgets = [undefined, 1, 2].map((minAvailable) => disruptionBudget(context, "entry", minAvailable).spec);
    assert.deepEqual(
      budgets.map(({ maxUnavailable, minAvailable }) => [maxUnavailable, minAvailable]),
      [
        [1, undefined],
        [undefined, 1],
        [undefined, 2],
      ],
    );
  });
});

describe("the context of the pass before", () => {
  const memory = new ClusterMemory("cluster-uid");
  const cluster = sampleCluster();
  const first = memory.contextOf(made(cluster));

  it("is taken again while spec, Secrets and storage are the same, whatever the status says", () => {
    assert.equal(memory.contextOf(made({ ...cluster, status: { phase: "Ready" } })), first);
    assert.equal(memory.contextOf(made(structuredClone(cluster), structuredClone(HASHES))), first);
  });

  for (const [what, next] of [
    ["spec", () => made({ ...cluster, metadata: { ...cluster.metadata, generation: 2 } })],
    ["certificates", () => made(cluster, { ...HASHES, internal: { ...HASHES.internal, entry: "z" } })],
    ["Secrets", () => made(cluster, { ...HASHES, redis: "z" })],
    ["storage", () => made(cluster, HASHES, "external")],
  ] as const) {
    it(`is another one for another ${what}`, () => {
      const before = memory.contextOf(made(cluster));
      const context = next();
      assert.notEqual(context, before);
      assert.equal(memory.contextOf(context), context);
    });
  }

  it("is never taken for an object of which nobody knows the generation", () => {
    const { generation: _, ...metadata } = cluster.metadata;
    const unknown = made({ ...cluster, metadata });
    memory.contextOf(unknown);
    const next = made({ ...cluster, metadata });
    assert.equal(memory.contextOf(next), next);
  });
});
