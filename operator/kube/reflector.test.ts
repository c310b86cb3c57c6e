// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import type { KubeClient } from "./client.ts";
import { KubeError } from "./kube-error.ts";
import { type Delta, Reflector, type ReflectorOptions } from "./reflector.ts";
import { createKubeClient } from "./rest-client.ts";
import { ScriptedApiServer } from "./testing/scripted-api-server.ts";
import { until } from "./testing/wait.ts";
import { CONFIG_MAPS, type ConfigMap } from "./types.ts";

const TIMEOUT = { timeout: 30_000 };

let server: ScriptedApiServer;
let client: KubeClient;
let reflector: Reflector<ConfigMap>;
let restarts: string[];
let invalidLines: number;

function start(options: Partial<ReflectorOptions<ConfigMap>> = {}): Reflector<ConfigMap> {
  restarts = [];
  invalidLines = 0;
  reflector = new Reflector<ConfigMap>({
    client,
    resource: CONFIG_MAPS,
    namespace: "default",
    log: silentLogger,
    inactivityMs: 10_000,
    backoff: { baseMs: 10, capMs: 100 },
    metrics: {
      restarted: (_kind, cause) => restarts.push(cause),
      invalidLine: () => invalidLines++,
    },
    ...options,
  });
  reflector.start();
  return reflector;
}

const brief = ({ type, object }: Delta<ConfigMap>): string =>
  `${type} ${object.metadata.name} ${object.metadata.uid} ${object.data?.value ?? ""}`.trim();

const cached = (): Map<string, string> =>
  new Map(reflector.list().map(({ metadata }) => [metadata.name, `${metadata.uid}/${metadata.resourceVersion}`]));

async function untilCaughtUp(): Promise<void> {
  const same = (): boolean => JSON.stringify([...cached()].sort()) === JSON.stringify([...server.truth].sort());
  await until("the cache equals the server", same).catch(() => assert.deepEqual(cached(), server.truth));
}

beforeEach(async () => {
  server = await ScriptedApiServer.start();
  client = createKubeClient({ kubeConfig: server.kubeConfig });
});

afterEach(async () => {
  await reflector.close();
  client.close();
  await server.close();
});

describe("list and watch", TIMEOUT, () => {
  test("keeps of an object what it is told to, of a list and of an event", async () => {
    server.put("listed");
    const keep = ({ metadata: { name, namespace, uid, resourceVersion } }: ConfigMap): ConfigMap => ({
      metadata: { name, namespace, uid, resourceVersion },
    });
    start({ keep });
    await reflector.synced();
    server.put("watched");
    await untilCaughtUp();
    for (const name of ["listed", "watched"]) {
      const kept = reflector.get("default", name);
      assert.deepEqual(Object.keys(kept ?? {}), ["metadata"], name);
      assert.deepEqual(Object.keys(kept?.metadata ?? {}), ["name", "namespace", "uid", "resourceVersion"]);
    }
  });

  test("lists by pages, watches with bookmarks and a server timeout, and follows changes", async () => {
    for (let index = 0; index < 5; index++) server.put(`cm-${index}`);
    start({ pageSize: 2, watchTimeoutSeconds: 300, random: () => 1 });
    await reflector.synced();
    assert.deepEqual(server.requests.slice(0, 3), ["list", "list continue=2", "list continue=4"]);
    assert.equal(reflector.size, 5);
    assert.equal(reflector.get("default", "cm-3")?.kind, "ConfigMap");
    assert.equal(reflector.get("default", "cm-3")?.metadata.managedFields, undefined);

    await until("a watch", () => server.watches === 1);
    assert.equal(server.lastWatchQuery.get("allowWatchBookmarks"), "true");
    assert.equal(server.lastWatchQuery.get("timeoutSeconds"), "360");
    const seen: string[] = [];
    reflector.on((delta) => seen.push(brief(delta)));
    seen.length = 0;
    server.put("cm-1", { value: "new" });
    server.put("cm-9");
    server.remove("cm-0");
    await until("three deltas", () => seen.length === 3);
    assert.deepEqual(seen, ["updated cm-1 uid-2 new", "added cm-9 uid-6", "deleted cm-0 uid-1"]);
    await untilCaughtUp();
  });

  test("a handler that comes late gets everything that is in the cache, and its remover works", async () => {
    server.put("a");
    start();
    await reflector.synced();
    const seen: string[] = [];
    const remove = reflector.on((delta) => seen.push(brief(delta)));
    assert.deepEqual(seen, ["added a uid-1"]);
    remove();
    await until("a watch", () => server.watches === 1);
    server.put("b");
    await untilCaughtUp();
    assert.deepEqual(seen, ["added a uid-1"]);
  });

  test("a regular end goes on from the last version, bookmarks included, without a list", async () => {
    start();
    await until("a watch", () => server.watches === 1);
    server.put("a");
    await untilCaughtUp();
    server.skipVersions(1_000);
    server.sendBookmark();
    const { version } = server;
    server.endWatches();
    await until("a second watch", () => server.requests.length === 3);
    assert.deepEqual(server.requests.slice(2), [`watch resourceVersion=${version}`]);
    assert.deepEqual(restarts, ["ended"]);
    assert.equal(reflector.lastError, undefined);
  });

  test("close ends the watch, rejects who still waits, and leaves no socket", async () => {
    server.fail("list", { hang: true });
    start();
    const waiting = assert.rejects(reflector.synced(), /closed/);
    await until("the list is asked", () => server.requests.length === 1);
    await reflector.close();
    await waiting;
    start();
    await until("a watch", () => server.watches === 1);
    await reflector.close();
    await until("the server sees the end", () => server.watches === 0);
  });
});

test("a hundred reconnections leave no socket, timer or listener behind", TIMEOUT, async () => {
  const warnings: Error[] = [];
  const warn = (warning: Error): number => warnings.push(warning);
  process.on("warning", warn);
  start({ backoff: { baseMs: 0, capMs: 0 } });
  const open = (kind: string): number => process.getActiveResourcesInfo().filter((name) => name === kind).length;
  await until("a watch", () => server.watches === 1);
  const before = { sockets: open("TCPSocketWrap"), timers: open("Timeout") };
  for (let count = 1; count <= 100; count++) {
    if (count % 2 === 0) server.endWatches();
    else server.cutWatches();
    await until("the next watch", () => server.requests.length === count + 2 && server.watches === 1);
  }
  assert.ok(open("TCPSocketWrap") <= before.sockets + 2, `${open("TCPSocketWrap")} sockets, before ${before.sockets}`);
  assert.ok(open("Timeout") <= before.timers + 2, `${open("Timeout")} timers, before ${before.timers}`);
  process.removeListener("warning", warn);
  assert.deepEqual(warnings, []);
});

describe("faults of a watch", TIMEOUT, () => {
  for (const [name, fault, cause] of [
    ["500", { status: 500 }, "refused"],
    ["429 with Retry-After", { status: 429, retryAfterSeconds: 0.2, body: "Too many requests" }, "throttled"],
    ["a reset connection", { reset: true }, "cut"],
  ] as const) {
    test(`${name}: the watch is asked again from the same version`, async () => {
      server.put("a");
      server.fail("watch", fault, fault);
      start();
      await until("a watch", () => server.watches === 1);
      assert.deepEqual(server.requests, ["list", ...Array(3).fill(`watch resourceVersion=${server.version}`)]);
      assert.deepEqual(restarts, [cause, cause]);
      server.put("b");
      await untilCaughtUp();
      assert.equal(reflector.lastError, undefined);
    });
  }

  test("Retry-After is waited for", async () => {
    server.fail("watch", { status: 429, retryAfterSeconds: 0.3 });
    const startedMs = performance.now();
    start();
    await until("a watch", () => server.watches === 1);
    assert.ok(performance.now() - startedMs >= 290);
  });

  test("410 as a status and as an ERROR event both lead to a list", async () => {
    server.put("a");
    server.fail("watch", { status: 410 });
    start();
    await until("a watch", () => server.watches === 1);
    server.mute(true);
    server.put("b");
    server.remove("a");
    server.compact();
    server.mute(false);
    server.cutWatches();
    await untilCaughtUp();
    await until("a watch", () => server.watches === 1);
    assert.deepEqual(
      server.requests.map((request) => request.split(" ")[0]),
      ["list", "watch", "list", "watch", "watch", "list", "watch"],
    );
    assert.deepEqual(restarts, ["expired", "cut", "expired"]);
  });

  test("a relist that fails with 500 again and again is repeated until it works", async () => {
    server.put("a");
    start();
    await until("a watch", () => server.watches === 1);
    server.fail("list", { status: 500 }, { status: 503 }, { status: 429, retryAfterSeconds: 0.05 }, { status: 403 });
    server.mute(true);
    server.put("b");
    server.compact();
    server.mute(false);
    server.endWatches();
    await untilCaughtUp();
    assert.equal(restarts.filter((cause) => cause === "list_failed").length, 4);
    await until("it is healthy", () => reflector.lastError === undefined);
  });

  test("silence on an open socket is noticed, and what was missed is caught up", async () => {
    start({ inactivityMs: 100 });
    await until("a watch", () => server.watches === 1);
    server.mute(true);
    server.put("missed");
    server.mute(false);
    await untilCaughtUp();
    assert.ok(restarts.includes("silent"));
    assert.equal(server.requests.filter((request) => request.startsWith("list")).length, 1);
  });

  test("a server that accepts and never answers costs the deadline, not the reflector", async () => {
    server.fail("watch", { hang: true });
    start({ inactivityMs: 100 });
    await until("a watch", () => server.requests.length > 2);
    // On a slow machine the second watch, which is quiet, may be over as well by now.
    assert.deepEqual(new Set(restarts), new Set(["silent"]));
  });

  test("watches of a quiet kind that are cut now and then are made anew without a growing delay", async () => {
    const clock = new FakeClock();
    start({ clock, random: () => 0.99, backoff: { baseMs: 10, capMs: 100_000 } });
    for (let count = 1; count <= 6; count++) {
      await until("a watch", () => server.requests.length === count + 1 && server.watches === 1);
      // It must have heard of its opening before it is cut.
      await until("it is open", () => reflector.lastError === undefined);
      clock.advance(6_000);
      server.cutWatches();
      await until("a cut", () => restarts.length === count);
      clock.advance(10);
    }
    await until("a watch", () => server.watches === 1);
  });

  test("a stream cut within an event loses nothing", async () => {
    start();
    await until("a watch", () => server.watches === 1);
    server.cutWatches();
    server.put("a");
    await untilCaughtUp();
    assert.ok(restarts.includes("cut"));
  });

  test("versions that the server does not trust any more are given up after five refusals", async () => {
    server.fail("watch", ...Array(6).fill({ status: 504 }));
    start();
    await until("a watch", () => server.watches === 1);
    assert.deepEqual(
      server.requests.map((request) => request.split(" ")[0]),
      ["list", ...Array(6).fill("watch"), "list", "watch"],
    );
  });

  test("a version that is too large (etcd restored) leads to a list at once", async () => {
    const details = { causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }] };
    const body = JSON.stringify({ kind: "Status", code: 504, reason: "Timeout", details });
    server.fail("watch", { status: 504, body });
    start();
    await until("a watch", () => server.watches === 1);
    assert.deepEqual(restarts, ["expired"]);
  });
});

describe("content of a watch", TIMEOUT, () => {
  test("repeated and late events change nothing", async () => {
    start();
    await until("a watch", () => server.watches === 1);
    const seen: string[] = [];
    reflector.on((delta) => seen.push(brief(delta)));
    server.put("a", { value: "1" });
    server.put("a", { value: "2" });
    server.repeatEvent(0);
    server.repeatEvent(1);
    server.put("end");
    await until("the end", () => seen.at(-1)?.startsWith("added end") === true);
    assert.deepEqual(seen, ["added a uid-1 1", "updated a uid-1 2", "added end uid-2"]);
  });

  test("a line that is no event is counted and leads to a list", async () => {
    start();
    await until("a watch", () => server.watches === 1);
    for (const line of ["{nonsense", "[]", '{"type":"NEWTYPE","object":{"metadata":{"resourceVersion":"1"}}}']) {
      const lists = server.requests.filter((request) => request === "list").length;
      server.sendLine(line);
      await until("a list", () => server.requests.filter((request) => request === "list").length > lists);
      await until("a watch", () => server.watches === 1);
    }
    assert.equal(invalidLines, 3);
    assert.deepEqual(restarts, ["invalid", "invalid", "invalid"]);
  });

  test("the same name with another UID is deleted and added, in a watch and across a gap", async () => {
    server.put("a");
    start();
    await until("a watch", () => server.watches === 1);
    const seen: string[] = [];
    reflector.on((delta) => seen.push(brief(delta)));
    server.replace("a");
    await untilCaughtUp();
    assert.deepEqual(seen, ["added a uid-1", "deleted a uid-1", "added a uid-2"]);

    server.mute(true);
    server.remove("a");
    server.put("a");
    server.compact();
    server.mute(false);
    server.endWatches();
    await untilCaughtUp();
    assert.deepEqual(seen.slice(3), ["deleted a uid-2", "added a uid-3"]);
  });

  test("an event that was overtaken is taken, and one that is older than what is known is not", async () => {
    server.put("a", { value: "1" });
    start();
    await until("a watch", () => server.watches === 1);
    const seen: string[] = [];
    reflector.on((delta) => seen.push(brief(delta)));
    seen.length = 0;
    server.overtakeNext();
    server.remove("a");
    server.put("b", { value: "1" });
    server.overtakeNext();
    server.put("b", { value: "2" });
    server.put("b", { value: "3" });
    server.overtakeNext();
    server.put("c");
    server.remove("c");
    server.put("end");
    await until("the end", () => seen.at(-1)?.startsWith("added end") === true);
    assert.deepEqual(seen, ["added b uid-2 1", "deleted a uid-1", "updated b uid-2 3", "added end uid-4"]);
    await untilCaughtUp();
  });

  test("an event that was overtaken when the connection was cut is caught up", async () => {
    server.put("a");
    start();
    await until("a watch", () => server.watches === 1);
    server.withholdNext();
    server.remove("a");
    server.put("b");
    await until("the newer event", () => reflector.get("default", "b") !== undefined);
    assert.ok(reflector.get("default", "a"));
    server.cutWatches();
    await untilCaughtUp();
    assert.deepEqual(restarts, ["cut"]);
    assert.equal(server.requests.filter((request) => request.startsWith("list")).length, 1);
  });

  test("a watch that only repeats what is known is asked again ever more slowly", async () => {
    start({ backoff: { baseMs: 20, capMs: 400 }, random: () => 0.99 });
    await until("a watch", () => server.watches === 1);
    server.put("a");
    await untilCaughtUp();
    const startedMs = performance.now();
    for (let count = 1; count <= 5; count++) {
      server.cutWatches();
      await until("the next watch", () => server.requests.length === count + 2 && server.watches === 1);
      await until("it is open", () => reflector.lastError === undefined);
    }
    // 20 + 40 + 80 + 160 + 320 ms, although each new watch brought the event again.
    assert.ok(performance.now() - startedMs >= 590);
  });

  test("a list older than what was seen is not believed, until six in a row say the same", async () => {
    start();
    await until("a watch", () => server.watches === 1);
    const seen: string[] = [];
    reflector.on((delta) => seen.push(brief(delta)));
    server.put("a");
    await untilCaughtUp();
    server.fail("watch", { status: 410 });
    server.fail("list", { stale: true }, { stale: true });
    server.cutWatches();
    await until("a list", () => server.requests.filter((request) => request.startsWith("list")).length === 4);
    await until("a watch", () => server.watches === 1);
    assert.deepEqual(
      restarts.filter((cause) => cause === "list_stale"),
      ["list_stale", "list_stale"],
    );
    assert.deepEqual(seen, ["added a uid-1"], "nobody was told that it went");

    server.restore();
    server.fail("watch", { status: 410 });
    server.cutWatches();
    await until("believed", () => seen.length === 2);
    assert.deepEqual(seen, ["added a uid-1", "deleted a uid-1"]);
    assert.equal(restarts.filter((cause) => cause === "list_stale").length, 7);
    await untilCaughtUp();
  });

  test("an ERROR event that is not 410 is a fault like a refusal", async () => {
    start();
    await until("a watch", () => server.watches === 1);
    server.sendEvent("ERROR", { kind: "Status", code: 500, reason: "InternalError", message: "etcd is away" });
    await until("a fault", () => restarts.length === 1);
    assert.deepEqual(restarts, ["refused"]);
    await until("a watch", () => server.requests.length === 3 && server.watches === 1);
  });
});

describe("handlers", TIMEOUT, () => {
  test("one that throws gets its object again, in order, and disturbs nobody else", async () => {
    start();
    await until("a watch", () => server.watches === 1);
    const taken: string[] = [];
    const others: string[] = [];
    let isBroken = true;
    reflector.on((delta) => {
      if (isBroken && delta.object.metadata.name === "a") throw new Error("broken handler");
      taken.push(brief(delta));
    });
    reflector.on((delta) => others.push(brief(delta)));
    server.put("a", { value: "1" });
    server.put("b");
    server.put("a", { value: "2" });
    await until("the other handler saw all", () => others.length === 3);
    assert.deepEqual(taken, ["added b uid-2"]);
    isBroken = false;
    await until("it came again", () => taken.length === 2);
    assert.deepEqual(taken, ["added b uid-2", "added a uid-1 2"]);
  });
});

test("an error says what was refused", TIMEOUT, async () => {
  start();
  server.fail("list", { status: 503, retryAfterSeconds: 7, body: "overloaded" });
  await reflector.close();
  const error = await client.list(CONFIG_MAPS, "default").catch((thrown: unknown) => thrown);
  assert.ok(error instanceof KubeError);
  assert.deepEqual([error.status, error.retryable, error.retryAfterMs], [503, true, 7_000]);
});
