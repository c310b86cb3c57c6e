// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { answerError } from "./connection.ts";
import { KubeError, kubeErrorOf } from "./kube-error.ts";

test("what may pass is retryable, and every status has a code", () => {
  const rows: [number, boolean, ErrorCode][] = [
    [0, true, ErrorCode.RETRYABLE],
    [400, false, ErrorCode.BAD_REQUEST],
    [401, false, ErrorCode.UNAUTHENTICATED],
    [403, false, ErrorCode.PERMISSION_DENIED],
    [404, false, ErrorCode.NOT_FOUND],
    [408, true, ErrorCode.RETRYABLE],
    [409, false, ErrorCode.CONFLICT],
    [413, false, ErrorCode.TOO_LARGE],
    [418, false, ErrorCode.INTERNAL],
    [422, false, ErrorCode.BAD_REQUEST],
    [429, true, ErrorCode.BUSY],
    [503, true, ErrorCode.RETRYABLE],
  ];
  for (const [status, retryable, code] of rows) {
    const error = new KubeError(status, "Reason", "message");
    assert.deepEqual([status, error.retryable, error.code], [status, retryable, code]);
  }
});

test("a UID that is not the object's is a conflict, whichever way the server says it", () => {
  const details = { causes: [{ reason: "FieldValueInvalid", field: "metadata.uid", message: "field is immutable" }] };
  const error = kubeErrorOf(422, { code: 422, reason: "Invalid", message: "invalid", details }, "apply");
  assert.deepEqual([error.isConflict, error.status], [true, 409]);
  assert.equal(kubeErrorOf(409, { code: 409, reason: "AlreadyExists" }, "create").isConflict, false);
});

test("an answer that is no Status still says what it said, and Retry-After is kept", () => {
  const error = answerError({ status: 429, body: "Too many requests", warnings: [], retryAfterMs: 3_000 }, "list");
  assert.deepEqual([error.status, error.retryAfterMs, error.message], [429, 3_000, "list: Too many requests"]);
  const status = JSON.stringify({
    kind: "Status",
    code: 500,
    reason: "InternalError",
    details: { retryAfterSeconds: 7 },
  });
  const other = answerError({ status: 500, body: status, warnings: [], retryAfterMs: 0 }, "list");
  assert.deepEqual([other.reason, other.retryAfterMs], ["InternalError", 7_000]);
});
