// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { FINALIZER, LABEL } from "../imcluster/names.ts";
import { readyPod, sampleCluster } from "../imcluster/testing/sample.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import type { Pod } from "../kube/types.ts";
import { EvictionGuard } from "./guard.ts";
import { parseReview, reviewReply } from "./review.ts";

const POD = readyPod({
  metadata: {
    ...{ name: "demo-entry-1", namespace: "shop", uid: "u" },
    ...{ labels: { [LABEL.component]: "entry" }, finalizers: [FINALIZER.entry] },
  },
  spec: { containers: [] },
});
const REQUEST = { uid: "q", namespace: "shop", pod: "demo-entry-1", isDryRun: false };

function setUp(patch: () => Promise<unknown> = async () => POD, known: Pod = POD) {
  const patches: unknown[][] = [];
  const answers: string[] = [];
  const patchMerge = (...args: unknown[]) => {
    patches.push(args);
    return patch();
  };
  const client = { patchMerge } as unknown as KubeClient;
  const guard = new EvictionGuard({
    ...{ client, clock: new FakeClock(), log: silentLogger },
    fleet: { pod: (_, name) => (name === "demo-entry-1" ? known : undefined), clusterOf: () => sampleCluster() },
    onAnswer: (answer) => void answers.push(answer),
  });
  return { guard, patches, answers };
}

describe("EvictionGuard", () => {
  it("writes the request on this incarnation of the pod", async () => {
    const { guard, patches, answers } = setUp();
    assert.match((await guard.refuse(REQUEST)) ?? "", /going to be drained first/);
    const [, namespace, name, patch] = patches[0] ?? [];
    assert.deepEqual([namespace, name], ["shop", "demo-entry-1"]);
    const annotations = {
      "imcluster.io/drain-request": "Evicted",
      "imcluster.io/drain-requested-at": new Date(1_700_000_000_000).toISOString(),
    };
    assert.deepEqual(patch, { metadata: { uid: "u", annotations } });
    assert.deepEqual(answers, ["refused"]);
  });

  it("leaves what a person has asked for", async () => {
    const annotations = { "imcluster.io/drain-request": "Fence" };
    const { guard, patches } = setUp(undefined, { ...POD, metadata: { ...POD.metadata, annotations } });
    await guard.refuse(REQUEST);
    assert.match(JSON.stringify(patches[0]), /"imcluster.io\/drain-request":"Fence"/);
  });

  it("writes nothing for a dry run, and lets everything else through", async () => {
    const { guard, patches, answers } = setUp();
    assert.ok(await guard.refuse({ ...REQUEST, isDryRun: true }));
    assert.equal(await guard.refuse({ ...REQUEST, pod: "demo-logic-1" }), undefined);
    assert.deepEqual([patches.length, answers], [0, ["refused", "allowed"]]);
  });

  it("refuses all the same when it cannot write: the question comes again", async () => {
    const { guard } = setUp(() => Promise.reject(new KubeError(0, "Network", "away")));
    assert.ok(await guard.refuse(REQUEST));
  });
});

describe("a review", () => {
  const review = (request: unknown) =>
    JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request });
  const good = { uid: "q", namespace: "shop", name: "demo-entry-1", subResource: "eviction", dryRun: false };

  it("is read for what is needed", () => {
    assert.deepEqual(parseReview(review(good)), REQUEST);
    assert.equal(parseReview(review({ ...good, dryRun: true }))?.isDryRun, true);
    const eviction = (dryRun: unknown) => ({ ...good, object: { kind: "Eviction", deleteOptions: { dryRun } } });
    assert.equal(parseReview(review(eviction(["All"])))?.isDryRun, true);
    for (const none of [[], null, "All"]) assert.equal(parseReview(review(eviction(none)))?.isDryRun, false);
  });

  it("is refused when it is anything else", () => {
    const bad = ["", "{", "null", "[]", "1", "{}", review(null), review({ ...good, subResource: "status" })];
    const missing = (["uid", "namespace", "name"] as const).map((key) => review({ ...good, [key]: "" }));
    const wrong = [review({ ...good, name: 5 }), JSON.stringify({ kind: "Other", request: good })];
    for (const body of [...bad, ...missing, ...wrong]) assert.equal(parseReview(body), undefined, body);
  });

  it("is answered with the one code on which drain tools try again", () => {
    assert.deepEqual(reviewReply("q", undefined), {
      ...{ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" },
      response: { uid: "q", allowed: true },
    });
    const { response } = reviewReply("q", "wait") as { response: { allowed: boolean; status: { code: number } } };
    assert.deepEqual([response.allowed, response.status.code], [false, 429]);
  });
});
