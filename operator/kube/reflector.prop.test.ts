// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { silentLogger } from "#lib/logger.ts";
import { type Delta, Reflector } from "./reflector.ts";
import { createKubeClient } from "./rest-client.ts";
import { ScriptedApiServer } from "./testing/scripted-api-server.ts";
import { until } from "./testing/wait.ts";
import { CONFIG_MAPS, type ConfigMap } from "./types.ts";

const name = fc.constantFrom("a", "b", "c");
const step = fc.oneof(
  fc.record({ do: fc.constantFrom("put", "remove", "recreate", "replace"), name }, { noNullPrototype: true }),
  fc.record(
    {
      do: fc.constantFrom(
        ...["mute", "unmute", "compact", "end", "cut", "junk", "repeat", "overtake", "stale list", "bookmark", "pause"],
      ),
      name,
    },
    { noNullPrototype: true },
  ),
  fc.record(
    { do: fc.constantFrom("fail list", "fail watch"), name, status: fc.constantFrom(0, 403, 410, 429, 500, 504) },
    { noNullPrototype: true },
  ),
);
type Step = { do: string; name: string; status?: number };

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

async function take(server: ScriptedApiServer, { do: what, name, status = 0 }: Step): Promise<void> {
  const fault = status === 0 ? ({ reset: true } as const) : { status };
  const actions: Record<string, () => unknown> = {
    put: () => server.put(name),
    remove: () => server.remove(name),
    recreate: () => {
      server.remove(name);
      server.put(name);
    },
    replace: () => server.replace(name),
    mute: () => server.mute(true),
    unmute: () => server.mute(false),
    compact: () => server.compact(),
    end: () => server.endWatches(),
    cut: () => server.cutWatches(),
    junk: () => server.sendLine("{junk"),
    repeat: () => server.repeatEvent(server.requests.length),
    overtake: () => server.overtakeNext(),
    "stale list": () => server.fail("list", { stale: true }),
    bookmark: () => server.sendBookmark(),
    pause: () => pause(20),
    "fail list": () => server.fail("list", fault),
    "fail watch": () => server.fail("watch", fault),
  };
  await actions[what]?.();
}

/** What a handler knows when it believes every delta, which must follow from each other. */
class Follower {
  readonly known = new Map<string, string>();

  take({ type, object, old }: Delta<ConfigMap>): void {
    const { name, uid, resourceVersion } = object.metadata;
    const before = this.known.get(name)?.split("/")[0];
    assert.equal(before, type === "added" ? undefined : uid, `${type} of ${name}`);
    assert.equal(old?.metadata.uid, before);
    if (type === "deleted") this.known.delete(name);
    else this.known.set(name, `${uid}/${resourceVersion}`);
  }
}

async function follow(steps: Step[]): Promise<void> {
  const server = await ScriptedApiServer.start();
  const client = createKubeClient({ kubeConfig: server.kubeConfig });
  const follower = new Follower();
  const failed: unknown[] = [];
  const reflector = new Reflector<ConfigMap>({
    client,
    resource: CONFIG_MAPS,
    namespace: "default",
    log: silentLogger,
    inactivityMs: 100,
    pageSize: 2,
    backoff: { baseMs: 1, capMs: 10 },
    metrics: { handlerFailed: () => failed.push("handler") },
  });
  reflector.on((delta) => follower.take(delta));
  reflector.start();
  try {
    for (const each of steps) {
      await take(server, each);
      await pause(1);
    }
    server.mute(false);
    await until("the reflector equals the server", () => isSame(follower.known, server.truth), 20_000);
    assert.deepEqual(failed, []);
  } finally {
    await reflector.close();
    client.close();
    await server.close();
  }
}

const isSame = (a: Map<string, string>, b: Map<string, string>): boolean =>
  a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);

test("whatever happens, every handler ends with what the server has, by deltas that follow", { timeout: 120_000 }, () =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), (steps) => follow(steps)),
    // No shrinking: each attempt waits in real time, and the steps that failed tell enough.
    { numRuns: 40, endOnFailure: true },
  ),
);
