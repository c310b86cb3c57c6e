// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "./errors.ts";
import { logError } from "./logger.ts";

const SECRET = "cnry-secret";

describe("logError", () => {
  it("says what, where and why, with the causes", () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", port: 5432 });
    const shown = logError(new ImError(ErrorCode.RETRYABLE, "the store is away", { cause })) as Record<string, unknown>;
    assert.equal(shown.type, "ImError");
    assert.equal(shown.message, "the store is away: connect ECONNREFUSED");
    assert.match(String(shown.stack), /log-error\.test\.ts[\s\S]*caused by: Error: connect ECONNREFUSED/);
    assert.deepEqual([shown.code, shown.retryable], [ErrorCode.RETRYABLE, true]);
    assert.deepEqual([(logError(cause) as { port?: number }).port], [5432]);
  });

  it("shows none of the fields in which drivers and Node keep commands, rows, addresses and answers", () => {
    const fields = {
      ...{ command: { name: "auth", args: ["im", SECRET] }, detail: `Failing row contains (${SECRET})`, where: SECRET },
      ...{
        input: `redis://im:${SECRET}@r`,
        config: { headers: { authorization: SECRET } },
        body: SECRET,
        response: [SECRET],
      },
      ...{ code: { [SECRET]: 1 }, cause: Object.assign(new Error("inner"), { input: SECRET }) },
    };
    const outer = Object.assign(new Error("outer"), fields);
    const several = new AggregateError([outer, Object.assign(new Error("other"), fields)], "several");
    for (const error of [outer, several, new Error("around", { cause: outer })]) {
      const text = JSON.stringify(logError(error));
      assert.ok(!text.includes(SECRET), text);
      assert.match(text, /outer/);
    }
    const pg = Object.assign(new Error("refused"), { constraint: "positive", table: "message", severity: "ERROR" });
    assert.match(JSON.stringify(logError(pg)), /"constraint":"positive"/);
  });

  it("takes what is no error", () => {
    assert.deepEqual(logError("plain words"), { type: "string", message: "plain words" });
    for (const thrown of [{ token: SECRET }, [SECRET], undefined, null, 7n, Symbol(SECRET)])
      assert.deepEqual(logError(thrown), { type: typeof thrown, message: "no Error" });
  });
});
