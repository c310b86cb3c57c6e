// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ImCluster } from "../api/v1alpha1.ts";
import { DRAIN_PHASES, type DrainPhase, type DrainReason, newIntent } from "../imcluster/drain.ts";
import { ANNOTATION, FINALIZER, LABEL } from "../imcluster/names.ts";
import { NOW_MS, readyPod, sampleCluster } from "../imcluster/testing/sample.ts";
import type { Pod } from "../kube/types.ts";
import { judgeEviction } from "./eviction-judge.ts";

const CLUSTER = sampleCluster();

function entry(annotations: Record<string, string> = {}, metadata: object = {}): Pod {
  return readyPod({
    metadata: {
      ...{ name: "demo-entry-1", namespace: "shop", uid: "u", annotations },
      ...{ labels: { [LABEL.component]: "entry" }, finalizers: [FINALIZER.entry] },
      ...metadata,
    },
    spec: { containers: [] },
  });
}
const draining = (phase: DrainPhase, reason: DrainReason = "Update") =>
  entry({ [ANNOTATION.drain]: JSON.stringify(newIntent("d", reason, phase, NOW_MS)) });
const requested = (agoMs: number) =>
  entry({
    [ANNOTATION.drainRequest]: "Evicted",
    [ANNOTATION.drainRequestedAt]: new Date(NOW_MS - agoMs).toISOString(),
  });
const judge = (pod: Pod | undefined, cluster: ImCluster | undefined = CLUSTER) => judgeEviction(pod, cluster, NOW_MS);

describe("an eviction", () => {
  it("of an entry that serves is refused, and asks for a drain", () => {
    const verdict = judge(entry());
    assert.deepEqual(verdict, {
      ...{ kind: "deny", asks: true },
      message: "entry demo-entry-1 is going to be drained first: try again in a few seconds",
    });
  });

  it("asks once", () => {
    const verdict = judge(requested(5_000));
    assert.deepEqual([verdict.kind, verdict.kind === "deny" && verdict.asks], ["deny", false]);
  });

  it("is refused in every phase of the drain but the last, and says which one", () => {
    for (const phase of DRAIN_PHASES) {
      const verdict = judge(draining(phase));
      if (phase === "Released") assert.equal(verdict.kind, "allow");
      else assert.ok(verdict.kind === "deny" && !verdict.asks && verdict.message.includes(`(${phase})`), phase);
    }
  });

  it("makes a node drain that waits for a replacement insist", () => {
    const verdict = judge(draining("Planned", "NodeDrain"));
    assert.ok(verdict.kind === "deny" && verdict.asks);
  });

  const annotated = (annotations: Record<string, string>): ImCluster => ({
    ...CLUSTER,
    metadata: { ...CLUSTER.metadata, annotations },
  });
  const late = (phase: DrainPhase): Pod =>
    entry({ [ANNOTATION.drain]: JSON.stringify(newIntent("d", "Update", phase, NOW_MS - 600_001)) });

  it("waits for a drain that waits for others, and for one whose clients may stay, however long", () => {
    assert.equal(judge(late("LbDetaching")).kind, "deny");
    const { drain } = CLUSTER.spec.entry;
    const held = sampleCluster({ entry: { ...CLUSTER.spec.entry, drain: { ...drain, onDeadline: "Hold" } } });
    assert.equal(judge(late("Draining"), held).kind, "deny");
  });

  it("begins anew after a request that was called off", () => {
    const calledOff = entry({ [ANNOTATION.drainRequestedAt]: new Date(NOW_MS - 900_000).toISOString() });
    const verdict = judge(calledOff);
    assert.ok(verdict.kind === "deny" && verdict.asks);
  });

  const state = (status: object): Pod => ({ ...entry(), status: status as NonNullable<Pod["status"]> });
  const allowed: [string, Pod | undefined, ImCluster | undefined][] = [
    ["nobody knows the pod", undefined, undefined],
    ["it is no entry", entry({}, { labels: { [LABEL.component]: "logic" } }), CLUSTER],
    ["it is being deleted", entry({}, { deletionTimestamp: "2026-01-01T00:00:00Z" }), CLUSTER],
    ["the operator has let it go", entry({}, { finalizers: [] }), CLUSTER],
    ["it has failed", state({ phase: "Failed" }), CLUSTER],
    ["it never ran", state({ phase: "Pending" }), CLUSTER],
    ["its ImCluster is gone", entry(), undefined],
    [
      "its ImCluster is being deleted",
      entry(),
      { ...CLUSTER, metadata: { ...CLUSTER.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } },
    ],
    ["its ImCluster is paused", entry(), sampleCluster({ paused: true })],
    ["its ImCluster is paused by annotation", entry(), annotated({ "imcluster.io/paused": "true" })],
    ["its drain should have ended long ago", late("Forcing"), CLUSTER],
    ["nobody has drained it for ten minutes", requested(600_001), CLUSTER],
  ];
  for (const [what, pod, cluster] of allowed) {
    it(`is allowed when ${what}`, () => assert.equal(judgeEviction(pod, cluster, NOW_MS).kind, "allow"));
  }
});
