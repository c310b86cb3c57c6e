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
import { EvictionGuard, evictionIn } from "./eviction-guard.ts";
import type { Review } from "./review.ts";

const POD = readyPod({
  metadata: {
    ...{ name: "demo-entry-1", namespace: "shop", uid: "u" },
    ...{ labels: { [LABEL.component]: "entry" }, finalizers: [FINALIZER.entry] },
  },
  spec: { containers: [] },
});
const REQUEST = { namespace: "shop", name: "demo-entry-1", isDryRun: false };

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
    assert.equal(await guard.refuse({ ...REQUEST, name: "demo-logic-1" }), undefined);
    assert.deepEqual([patches.length, answers], [0, ["refused", "allowed"]]);
  });

  it("refuses all the same when it cannot write: the question comes again", async () => {
    const { guard } = setUp(() => Promise.reject(new KubeError(0, "Network", "away")));
    assert.ok(await guard.refuse(REQUEST));
  });
});

describe("evictionIn", () => {
  const review: Review = { ...REQUEST, uid: "q", subResource: "eviction", object: undefined, oldObject: undefined };

  it("says which pod, and whether it is a dry run, also when the Eviction itself says so", () => {
    assert.deepEqual(evictionIn(review), REQUEST);
    assert.equal(evictionIn({ ...review, isDryRun: true })?.isDryRun, true);
    const eviction = (dryRun: unknown) => ({ ...review, object: { kind: "Eviction", deleteOptions: { dryRun } } });
    assert.equal(evictionIn(eviction(["All"]))?.isDryRun, true);
    for (const none of [[], null, "All"]) assert.equal(evictionIn(eviction(none))?.isDryRun, false);
    for (const odd of [null, 5, "x", []]) assert.equal(evictionIn({ ...review, object: odd })?.isDryRun, false);
  });

  it("is none of anything else", () => {
    for (const subResource of ["", "status", "binding"])
      assert.equal(evictionIn({ ...review, subResource }), undefined);
  });
});
