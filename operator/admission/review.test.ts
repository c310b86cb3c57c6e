// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseReview, reviewReply } from "./review.ts";

const review = (request: unknown) =>
  JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request });
const good = { uid: "q", namespace: "shop", name: "demo", operation: "UPDATE", dryRun: false };

describe("parseReview", () => {
  it("reads what is needed", () => {
    const objects = { object: { spec: 1 }, oldObject: { spec: 2 } };
    assert.deepEqual(parseReview(review({ ...good, ...objects })), {
      ...{ uid: "q", namespace: "shop", name: "demo", subResource: "", isDryRun: false },
      ...objects,
    });
    const scale = parseReview(review({ ...good, subResource: "scale", dryRun: true }));
    assert.deepEqual([scale?.subResource, scale?.isDryRun, scale?.object], ["scale", true, undefined]);
  });

  it("refuses anything else", () => {
    const bad = ["", "{", "null", "[]", "1", "{}", review(null), review("x")];
    const missing = (["uid", "namespace", "name"] as const).map((key) => review({ ...good, [key]: "" }));
    const wrong = [review({ ...good, name: 5 }), JSON.stringify({ kind: "Other", request: good })];
    for (const body of [...bad, ...missing, ...wrong]) assert.equal(parseReview(body), undefined, body);
  });
});

describe("reviewReply", () => {
  const responseOf = (reply: object) => (reply as { response: Record<string, unknown> }).response;

  it("allows without a word", () => {
    assert.deepEqual(reviewReply("q", {}), {
      ...{ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" },
      response: { uid: "q", allowed: true },
    });
  });

  it("refuses with the one code on which drain tools try again", () => {
    const { allowed, status } = responseOf(reviewReply("q", { refusal: "wait" }));
    assert.equal(allowed, false);
    assert.deepEqual(status, {
      ...{ code: 429, reason: "TooManyRequests", message: "wait", details: { retryAfterSeconds: 5 } },
    });
  });

  it("warns and allows all the same", () => {
    const reply = reviewReply("q", { warnings: ["a", "b"] });
    assert.deepEqual(responseOf(reply), { uid: "q", allowed: true, warnings: ["a", "b"] });
  });
});
