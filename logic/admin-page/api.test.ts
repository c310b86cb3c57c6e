// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeKey } from "../server-api/api-key.ts";
import { Api, isKey } from "./api.js";

const { text: KEY, keyId } = makeKey();

interface Seen {
  readonly path: string;
  readonly init: RequestInit;
}

function setUp(answer: () => Response | Error) {
  const seen: Seen[] = [];
  const call = async (path: unknown, init: RequestInit = {}): Promise<Response> => {
    seen.push({ path: String(path), init });
    const given = answer();
    if (given instanceof Error) throw given;
    return given;
  };
  return { api: new Api(KEY, call), seen };
}

const json = (status: number, body: object): Response => new Response(JSON.stringify(body), { status });

describe("isKey", () => {
  it("knows keys as the server makes them, and nothing else", () => {
    assert.ok(isKey(KEY));
    for (const other of ["", keyId, ` ${KEY}`, `${KEY}x`, KEY.slice(0, -1), KEY.replace("imk", "sk"), `${KEY}\n`])
      assert.ok(!isKey(other), JSON.stringify(other));
  });
});

describe("calls of the page", () => {
  it("carry the key in a header only, and nothing that another site could lend", async () => {
    const { api, seen } = setUp(() => json(200, { userId: "bob" }));
    assert.deepEqual(await api.devices("bob"), { kind: "ok", body: { userId: "bob" } });
    assert.equal(api.keyId, keyId);
    const [{ path, init } = { path: "", init: {} }] = seen;
    assert.equal(path, "/v1/users/bob/devices");
    assert.equal(new Headers(init.headers).get("authorization"), `Bearer ${KEY}`);
    assert.deepEqual([init.credentials, init.redirect, init.referrerPolicy], ["omit", "error", "no-referrer"]);
    assert.ok(init.signal);
  });

  it("stay below their path, whatever the ids are", async () => {
    const { api, seen } = setUp(() => json(200, {}));
    const odd = "../../v1/audit?x=1#/%2e";
    await Promise.all([api.devices(odd), api.mute(odd), api.ledger(odd, odd), api.fleet("a&limit=9")]);
    const paths = seen.map(({ path }) => new URL(path, "http://im").pathname.split("/").length);
    assert.deepEqual(paths, [5, 5, 6, 3]);
    assert.equal(new URL(seen[3]?.path ?? "", "http://im").searchParams.get("limit"), "100");
  });

  it("that change something name themselves anew each time, and say what they are in JSON", async () => {
    const { api, seen } = setUp(() => json(200, { sessions: 1 }));
    await Promise.all([api.kick("bob", ""), api.kick("bob", "web#1"), api.retract("b-1"), api.replayDeadLetters()]);
    assert.deepEqual(
      seen.map(({ path, init }) => [init.method, path, init.body]),
      [
        ["POST", "/v1/users/bob/kick", "{}"],
        ["POST", "/v1/users/bob/kick", '{"slot":"web#1"}'],
        ["POST", "/v1/broadcasts/b-1/retract", "{}"],
        ["POST", "/v1/dead-letters/replay", "{}"],
      ],
    );
    const headers = seen.map(({ init }) => new Headers(init.headers));
    assert.ok(headers.every((one) => one.get("content-type") === "application/json"));
    const keys = headers.map((one) => one.get("idempotency-key") ?? "");
    assert.equal(new Set(keys).size, keys.length);
    assert.ok(
      keys.every((key) => /^[A-Za-z0-9_.:-]{1,64}$/.test(key)),
      keys.join(" "),
    );
  });

  it("end in a problem with its code, and never reject", async () => {
    const problem = { code: "busy", detail: "later", retryAfterMs: 1000 };
    const cases: [() => Response | Error, object][] = [
      [() => json(503, problem), { kind: "problem", status: 503, ...problem }],
      [() => json(404, {}), { kind: "problem", status: 404, code: "away", detail: "HTTP 404", retryAfterMs: 0 }],
      [() => new Error("refused"), { kind: "problem", status: 0, code: "away", detail: "refused", retryAfterMs: 0 }],
      [() => json(500, [null]), { kind: "problem", status: 500, code: "away", detail: "HTTP 500", retryAfterMs: 0 }],
    ];
    for (const [answer, wanted] of cases) assert.deepEqual(await setUp(answer).api.fleet(undefined), wanted);
    const noJson = await setUp(() => new Response("<html>", { status: 502 })).api.fleet(undefined);
    assert.ok(noJson.kind === "problem" && noJson.code === "away");
    const nothing = await setUp(() => new Response("null", { status: 400 })).api.fleet(undefined);
    assert.ok(nothing.kind === "problem" && nothing.status === 400);
  });
});
