// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { auditedRequests, readsWithin, sumOf, watchesWithin, writesWithin } from "./audit-log.ts";

const START_MS = Date.parse("2026-01-02T03:04:05.000000Z");
const time = (ms: number) => new Date(START_MS + ms).toISOString().replace("Z", "000Z");

/** The lines of one request: its answer begins at once. */
function lines(id: string, verb: string, ref: object, fromMs: number, toMs?: number, code = 200): string[] {
  const line = (stage: string, atMs: number) =>
    JSON.stringify({
      ...{ kind: "Event", level: "Metadata", auditID: id, stage, verb, objectRef: ref, responseStatus: { code } },
      ...{ requestReceivedTimestamp: time(fromMs), stageTimestamp: time(atMs), user: { username: "o" } },
    });
  const begun = verb === "watch" ? [line("ResponseStarted", fromMs)] : [];
  return [...begun, ...(toMs === undefined ? [] : [line("ResponseComplete", toMs)])];
}

const span = (fromMs: number, toMs: number) => ({ fromMs: START_MS + fromMs, toMs: START_MS + toMs });
const pods = { resource: "pods" };

describe("the audit log", () => {
  const text = [
    ...lines("a", "watch", pods, 0, 5_000),
    ...lines("b", "watch", pods, 5_000),
    ...lines("c", "watch", { resource: "jobs", apiGroup: "batch" }, 100),
    ...lines("d", "create", pods, 1_000, 1_010, 201),
    ...lines("e", "patch", { resource: "imclusters", subresource: "status" }, 1_500, 1_600),
    ...lines("f", "patch", { resource: "imclusters", subresource: "status" }, 2_000, 2_100, 409),
    ...lines("g", "get", { resource: "secrets" }, 2_500, 2_501),
    '{"auditID":"half',
  ].join("\n");
  const requests = auditedRequests(text);

  it("becomes requests, one for all lines of the same id, without the line that is being written", () => {
    assert.deepEqual(
      requests.map(({ verb, resource }) => `${verb} ${resource}`),
      [
        "watch pods",
        "watch pods",
        "watch jobs",
        "create pods",
        "patch imclusters/status",
        "patch imclusters/status",
        "get secrets",
      ],
    );
    const [first, second] = requests;
    assert.deepEqual([first?.endedMs, second?.endedMs], [START_MS + 5_000, undefined]);
    assert.deepEqual([requests[3]?.code, requests[5]?.code], [201, 409]);
  });

  it("counts writes, refused ones too, and reads of a span", () => {
    assert.deepEqual(writesWithin(requests, span(0, 10_000)), { "create pods": 1, "patch imclusters/status": 2 });
    assert.deepEqual(writesWithin(requests, span(1_500, 2_000)), { "patch imclusters/status": 1 });
    assert.deepEqual(writesWithin(requests, span(3_000, 9_000)), {});
    assert.deepEqual(readsWithin(requests, span(0, 10_000)), { "get secrets": 1 });
    assert.equal(sumOf(writesWithin(requests, span(0, 10_000))), 3);
  });

  it("counts watches that are open at the same time, not those that follow each other", () => {
    assert.deepEqual(watchesWithin(requests, span(0, 10_000)), { pods: 1, jobs: 1 });
    const twice = auditedRequests(
      [...lines("a", "watch", pods, 0, 5_000), ...lines("b", "watch", pods, 4_000), ""].join("\n"),
    );
    assert.deepEqual(watchesWithin(twice, span(0, 10_000)), { pods: 2 });
    assert.deepEqual(watchesWithin(twice, span(6_000, 10_000)), { pods: 1 });
    assert.deepEqual(watchesWithin(twice, span(0, 3_000)), { pods: 1 });
  });
});
