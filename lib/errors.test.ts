// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertNever, ErrorCode, errorCodeName, ImError, toImError } from "./errors.ts";

describe("errors", () => {
  it("numbers are distinct and below 100: they never collide with disconnect codes", () => {
    const codes = Object.values(ErrorCode);
    assert.equal(new Set(codes).size, codes.length);
    assert.ok(codes.every((code) => code >= 1 && code <= 99));
  });

  it("BUSY, RETRYABLE and RATE_LIMITED are retryable unless told otherwise", () => {
    const retryable = Object.values(ErrorCode).filter((code) => new ImError(code, "x").retryable);
    assert.deepEqual(retryable, [ErrorCode.RATE_LIMITED, ErrorCode.BUSY, ErrorCode.RETRYABLE]);
    assert.equal(new ImError(ErrorCode.BUSY, "x", { retryable: false }).retryable, false);
    assert.equal(new ImError(ErrorCode.INTERNAL, "x", { retryable: true, retryAfterMs: 50 }).retryAfterMs, 50);
  });

  it("names codes, also those of a newer build", () => {
    assert.equal(errorCodeName(ErrorCode.CONFLICT), "CONFLICT");
    assert.equal(errorCodeName(77), "CODE_77");
  });

  it("wraps what was thrown and keeps it as cause", () => {
    const original = new TypeError("boom");
    const wrapped = toImError(original, ErrorCode.RETRYABLE);
    assert.equal(wrapped.code, ErrorCode.RETRYABLE);
    assert.equal(wrapped.message, "boom");
    assert.equal(wrapped.cause, original);
    assert.equal(toImError(wrapped), wrapped);
    assert.equal(toImError("text").message, "text");
    assert.equal(toImError(undefined).code, ErrorCode.INTERNAL);
  });

  it("assertNever throws on what the types did not foresee", () => {
    assert.throws(() => assertNever("new" as never), /unhandled case: "new"/);
  });
});
