// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { waitUntil } from "../entry-kit.ts";
import { PRUNE_ROWS } from "../store/server-api-store.ts";
import { externalId, internalId, internalTokenId, TENANT } from "../tenant/tenant-ids.ts";
import { AuditLog } from "./audit-log.ts";
import { canonicalJson } from "./canonical-json.ts";
import { readContent, writeContent } from "./content.ts";
import { cursorOf, positionOf, readCursor } from "./cursor.ts";
import { USER_ID } from "./fields.ts";
import { Housekeeping } from "./housekeeping.ts";
import { mayPass, PROBLEMS, type ProblemCode, problemBody, refusalOf, refuse } from "./problem.ts";
import { faultsOf } from "./validate.ts";

const tenants = fc.stringMatching(/^(?:[a-z0-9][a-z0-9-]{0,10})?$/);
const userIds = fc.stringMatching(/^[A-Za-z0-9_.:@-]{1,20}$/);

describe("tenant ids", () => {
  it("are nobody else's: (tenant, id) and the internal id are one to one", () => {
    fc.assert(
      fc.property(tenants, userIds, tenants, userIds, (tenant, id, otherTenant, otherId) => {
        assert.ok(TENANT.test(tenant) && faultsOf(USER_ID, id).length === 0);
        assert.equal(externalId(tenant, internalId(tenant, id)), id);
        const isSame = tenant === otherTenant && id === otherId;
        assert.equal(internalId(tenant, id) === internalId(otherTenant, otherId), isSame);
        if (tenant !== otherTenant) assert.equal(externalId(otherTenant, internalId(tenant, id)), undefined);
      }),
    );
  });

  it("of the default tenant are what they always were, and no caller can write another's", () => {
    assert.equal(internalId("", "bob"), "bob");
    assert.equal(faultsOf(USER_ID, internalId("acme", "bob")).length, 1);
    assert.equal(internalTokenId("", "acme/j"), "acme/j");
    assert.notEqual(internalTokenId("acme", "j"), "acme/j");
  });
});

describe("a cursor", () => {
  it("gives its position back to its own list only", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.string(), fc.string(), (position, list, other) => {
        const cursor = cursorOf(list, position);
        assert.match(cursor, /^[A-Za-z0-9_-]{1,256}$/);
        assert.equal(readCursor(list, cursor), position);
        assert.equal(positionOf(list, cursor), position);
        if (other !== list) assert.equal(readCursor(other, cursor), undefined);
      }),
    );
  });

  it("is refused when somebody made it up", () => {
    assert.equal(positionOf("a", undefined), 0);
    assert.deepEqual(positionOf("a", "abc"), refuse("invalid", "cursor is not of this list: begin without one"));
    for (const cursor of ["", "abc", cursorOf("a", 1).slice(1), Buffer.from("00000000.-1").toString("base64url")])
      assert.equal(readCursor("a", cursor), undefined, cursor);
    fc.assert(fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/), (made) => readCursor("a", made) === undefined));
  });
});

describe("content", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const { content, encoding } = writeContent(bytes);
        const read = readContent(content, encoding);
        assert.ok(!("kind" in read));
        assert.deepEqual(Buffer.from(read), Buffer.from(bytes));
      }),
    );
  });

  it("is text where it is text", () => {
    assert.deepEqual(writeContent(Buffer.from("好 \ufeff")), { content: "好 \ufeff", encoding: "utf8" });
    assert.equal(writeContent(Buffer.from([0xc3, 0x28])).encoding, "base64");
  });
});

describe("canonical JSON", () => {
  it("is the same for the same values, in whatever order their fields came", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const [one, other] = [JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b))] as unknown[];
        assert.deepEqual(JSON.parse(canonicalJson(one)), one);
        const forth = { x: one, y: other };
        assert.equal(canonicalJson(forth), canonicalJson({ y: other, x: one }));
        assert.equal(
          canonicalJson(forth) === canonicalJson({ x: other, y: one }),
          canonicalJson(one) === canonicalJson(other),
        );
      }),
    );
  });
});

describe("a problem", () => {
  it("has every field that programs and people need", () => {
    const refusal = refuse("rate_limited", "slow down", { retryAfterMs: 12.5 });
    assert.deepEqual(problemBody(refusal, "id"), {
      ...{ type: "urn:imcluster:problem:rate_limited", title: "Too many requests", status: 429, code: "rate_limited" },
      ...{ detail: "slow down", instance: "urn:uuid:id", retryAfterMs: 13 },
    });
  });

  it("may pass or not, by its code", () => {
    const passing = Object.keys(PROBLEMS).filter((code) => mayPass(refuse(code as ProblemCode, "")));
    assert.deepEqual(passing, ["in_progress", "rate_limited", "internal", "unavailable", "busy"]);
  });

  it("tells of a fault what the caller can use, and nothing else", () => {
    const codeOf = (code: ErrorCode) => refusalOf(new ImError(code, "secret detail"));
    assert.equal(codeOf(ErrorCode.BAD_REQUEST).code, "invalid");
    for (const [from, to] of [
      [ErrorCode.BUSY, "busy"],
      [ErrorCode.RATE_LIMITED, "busy"],
      [ErrorCode.RETRYABLE, "unavailable"],
      [ErrorCode.INTERNAL, "internal"],
      [ErrorCode.FENCED, "internal"],
    ] as const) {
      const refusal = codeOf(from);
      assert.equal(refusal.code, to);
      assert.ok(!refusal.detail.includes("secret"));
    }
    const later = refusalOf(new ImError(ErrorCode.BUSY, "", { retryAfterMs: 7000 }));
    assert.equal(later.retryAfterMs, 7000);
  });
});

describe("AuditLog", () => {
  const row = (target: string) => ({ tenant: "", keyId: "k", operation: "kickUser", target, status: 200 });

  it("writes what comes together in one statement, and says when it is written", async () => {
    const batches: string[][] = [];
    const log = new AuditLog({
      store: { appendAudit: async (rows) => void batches.push(rows.map(({ target }) => target)) },
      defer: setImmediate,
      onFault: () => assert.fail("no fault"),
      onLost: () => assert.fail("nothing is lost"),
    });
    await Promise.all(["a", "b", `${"c".repeat(300)}`, "d\0"].map((target) => log.add(row(target))));
    assert.deepEqual(batches, [["a", "b", "c".repeat(200), "d"]]);
    await waitUntil("the log is idle", () => log.isIdle);
  });

  it("counts what it could not write, and lets nobody wait for it", async () => {
    let lost = 0;
    const faults: string[] = [];
    const log = new AuditLog({
      store: { appendAudit: () => Promise.reject(new Error("away")) },
      defer: setImmediate,
      onFault: (op) => void faults.push(op),
      onLost: (entries) => {
        lost += entries;
      },
    });
    await Promise.all([log.add(row("a")), log.add(row("b"))]);
    assert.deepEqual([lost, faults], [2, ["api audit"]]);
  });
});

describe("Housekeeping", () => {
  it("goes on while there is much, begins again after a while, and stops", async () => {
    const clock = new FakeClock();
    const pruned: number[] = [PRUNE_ROWS, PRUNE_ROWS, 3, 0];
    let calls = 0;
    const housekeeping = new Housekeeping({
      ...{ auditKeepMs: 1, clock, random: () => 0.5 },
      store: { prune: async () => pruned[calls++] ?? 0 },
      onFault: () => assert.fail("no fault"),
    });
    housekeeping.start();
    clock.advance(59_999);
    assert.equal(calls, 0);
    clock.advance(1);
    for (let turn = 0; turn < 100 && clock.pending === 0; turn++) await new Promise(setImmediate);
    assert.equal(calls, 3);
    clock.advance(60_000);
    await housekeeping.stop();
    assert.deepEqual([calls, clock.pending], [4, 0]);
  });

  it("tells of a fault and lives on", async () => {
    const faults: string[] = [];
    const housekeeping = new Housekeeping({
      ...{ auditKeepMs: 1, clock: new FakeClock(), random: () => 0.5 },
      store: { prune: () => Promise.reject(new Error("away")) },
      onFault: (op) => void faults.push(op),
    });
    housekeeping.start();
    await housekeeping.round();
    await housekeeping.stop();
    assert.deepEqual(faults, ["api housekeeping"]);
  });
});
