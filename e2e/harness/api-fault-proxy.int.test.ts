// SPDX-License-Identifier: Apache-2.0
// Each fault of the proxy, seen by a client of it, while the API server itself says otherwise.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { KubeClient } from "../../operator/kube/client.ts";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { createKubeClient, loadKubeConfig } from "../../operator/kube/rest-client.ts";
import { CONFIG_MAPS } from "../../operator/kube/types.ts";
import { ApiFaultProxy } from "./api-fault-proxy.ts";
import type { ApiFaults } from "./api-faults.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";
import { waitUntil } from "./processes.ts";

const NAMESPACE = "default";

let api: TestApiServer;
let direct: KubeClient;
let proxy: ApiFaultProxy;
let client: KubeClient;
let stop: AbortController;
let made = 0;

before(async () => {
  api = await startApiServer();
  direct = createKubeClient({ kubeConfig: loadKubeConfig({ path: api.kubeconfigPath }) });
});

after(async () => {
  direct?.close();
  await api?.stop();
});

beforeEach(async () => {
  proxy = await ApiFaultProxy.start(loadKubeConfig({ path: api.kubeconfigPath }), 1);
  client = createKubeClient({ kubeConfig: proxy.kubeConfig });
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  client.close();
  await proxy.close();
});

const freshName = (): string => `cm-${made++}`;
const make = (by: KubeClient, name: string) => by.create(CONFIG_MAPS, { metadata: { name, namespace: NAMESPACE } });
const change = (name: string, value: string) => direct.patchMerge(CONFIG_MAPS, NAMESPACE, name, { data: { value } });
const namesOf = async (by: KubeClient): Promise<string[]> =>
  (await by.list(CONFIG_MAPS, NAMESPACE)).items.map(({ metadata }) => metadata.name);

async function faultOf(call: Promise<unknown>): Promise<KubeError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof KubeError, `a fault, not ${String(error)}`);
  return error;
}

/** What a watch brings, as `<type> <name> <value>`, with the versions; `ended` is why it is over. */
interface Watched {
  events: string[];
  versions: number[];
  isOpen: boolean;
  ended: Promise<unknown>;
}

async function watch(inactivityMs = 30_000): Promise<Watched> {
  const { resourceVersion } = await direct.list(CONFIG_MAPS, NAMESPACE);
  const watched: Watched = { events: [], versions: [], isOpen: false, ended: Promise.resolve() };
  const read = async (): Promise<void> => {
    const options = { resourceVersion, timeoutSeconds: 60, inactivityMs, signal: stop.signal };
    for await (const event of client.watch(CONFIG_MAPS, NAMESPACE, options)) {
      if (event.type === "OPENED") watched.isOpen = true;
      if (!("object" in event)) continue;
      const { metadata, data } = event.object;
      watched.events.push(`${event.type} ${metadata.name} ${data?.value ?? ""}`.trim());
      watched.versions.push(Number(metadata.resourceVersion));
    }
  };
  watched.ended = read().catch((error: unknown) => error);
  await Promise.race([watched.ended, waitUntil("the watch is open", () => watched.isOpen)]);
  return watched;
}

/** Makes changes until the fault has come about: whether an event is held back for long enough is the machine's business. */
async function changeUntil(name: string, isSeen: () => boolean): Promise<void> {
  for (let value = 0; !isSeen(); value++) {
    assert.ok(value < 500, "it never came about");
    await change(name, String(value));
  }
}

test("without faults it is not noticed", async () => {
  const watched = await watch();
  const name = freshName();
  await make(client, name);
  await client.patchMerge(CONFIG_MAPS, NAMESPACE, name, { data: { value: "1" } });
  assert.equal(await client.delete(CONFIG_MAPS, NAMESPACE, name), "deleted");
  assert.equal(await client.get(CONFIG_MAPS, NAMESPACE, name), undefined);
  await waitUntil("three events", () => watched.events.length === 3);
  assert.deepEqual(watched.events, [`ADDED ${name}`, `MODIFIED ${name} 1`, `DELETED ${name} 1`]);
  assert.deepEqual(await namesOf(client), await namesOf(direct));
  assert.equal(proxy.happened.size, 0);
  assert.deepEqual(
    proxy.calls.map(({ method, isWatch }) => `${method}${isWatch ? " watch" : ""}`),
    ["GET watch", "POST", "PATCH", "DELETE", "GET", "GET"],
  );
});

describe("requests", () => {
  for (const [fault, statuses, retryAfterMs] of [
    ["throttled", [429], 1_000],
    ["failed", [500, 503], 0],
  ] as const) {
    test(`${fault}: refused, and not done`, async () => {
      proxy.faults = { [fault]: 1 };
      const name = freshName();
      const error = await faultOf(make(client, name));
      assert.ok(statuses.some((status) => status === error.status));
      assert.equal(error.retryAfterMs, retryAfterMs);
      assert.equal(await direct.get(CONFIG_MAPS, NAMESPACE, name), undefined);
      const ended = await (await watch()).ended;
      assert.ok(ended instanceof KubeError && statuses.some((status) => status === ended.status));
      assert.equal(proxy.count(fault), 2);
    });
  }

  test("cut: done, and the answer ends in the middle", async () => {
    proxy.faults = { cut: 1 };
    const name = freshName();
    assert.equal((await faultOf(make(client, name))).reason, "Network");
    assert.ok(await direct.get(CONFIG_MAPS, NAMESPACE, name));
    assert.ok(proxy.count("cut") > 0);
  });

  test("delayed: they come through", async () => {
    proxy.faults = { delayed: 1 };
    const name = freshName();
    await make(client, name);
    assert.ok(await client.get(CONFIG_MAPS, NAMESPACE, name));
    assert.equal(proxy.count("delayed"), 2);
  });

  test("a stale list is what the same list was before; a single object is fresh", async () => {
    await namesOf(client);
    const name = freshName();
    await make(direct, name);
    proxy.faults = { staleList: 1 };
    assert.ok(!(await namesOf(client)).includes(name));
    assert.ok(await client.get(CONFIG_MAPS, NAMESPACE, name));
    proxy.faults = {};
    assert.ok((await namesOf(client)).includes(name));
    assert.equal(proxy.count("staleList"), 1);
  });

  test("a share is a share, and the same seed throws the same", async () => {
    const outcomes = async (): Promise<boolean[]> => {
      const one = await ApiFaultProxy.start(loadKubeConfig({ path: api.kubeconfigPath }), 7);
      one.faults = { failed: 0.3 };
      const asking = createKubeClient({ kubeConfig: one.kubeConfig });
      const seen: boolean[] = [];
      try {
        for (let index = 0; index < 60; index++) {
          const call = asking.get(CONFIG_MAPS, NAMESPACE, "none");
          seen.push(
            await call.then(
              () => true,
              () => false,
            ),
          );
        }
      } finally {
        asking.close();
        await one.close();
      }
      return seen;
    };
    const [first, second] = [await outcomes(), await outcomes()];
    assert.deepEqual(first, second);
    const failed = first.filter((isDone) => !isDone).length;
    assert.ok(failed >= 8 && failed <= 30, `${failed} of 60`);
  });
});

describe("watches", () => {
  const endsWith = async (faults: ApiFaults, isExpected: (error: KubeError) => boolean): Promise<Watched> => {
    proxy.faults = faults;
    const watched = await watch(3_000);
    const error = await watched.ended;
    assert.ok(error instanceof KubeError && isExpected(error), String(error));
    return watched;
  };

  test("410 as a status", async () => {
    const { isOpen } = await endsWith({ goneStatus: 1 }, ({ isExpired }) => isExpired);
    assert.equal(isOpen, false);
  });

  test("410 as an event of an open watch", async () => {
    const { isOpen } = await endsWith({ goneEvent: 1 }, ({ isExpired }) => isExpired);
    assert.equal(isOpen, true);
    assert.equal(proxy.count("goneEvent"), 1);
  });

  test("cut in the middle of an event", async () => {
    const { isOpen } = await endsWith({ cut: 1 }, ({ reason }) => reason === "Network");
    assert.equal(isOpen, true);
  });

  test("half-open: silence, while the connection stays", async () => {
    proxy.faults = { halfOpen: 1 };
    const watched = await watch(4_000);
    await waitUntil("it is half-open", () => proxy.count("halfOpen") === 1);
    const heard = watched.events.length;
    const name = freshName();
    await make(direct, name);
    const error = await watched.ended;
    assert.ok(error instanceof KubeError && error.reason === "Timeout", String(error));
    assert.equal(watched.events.length, heard, "nothing came any more");
  });

  test("duplicated: each event comes twice", async () => {
    proxy.faults = { duplicated: 1 };
    const watched = await watch();
    const name = freshName();
    await make(direct, name);
    await direct.delete(CONFIG_MAPS, NAMESPACE, name);
    await waitUntil("four events", () => watched.events.length === 4);
    assert.deepEqual(watched.events, [`ADDED ${name}`, `ADDED ${name}`, `DELETED ${name}`, `DELETED ${name}`]);
  });

  test("late: the event before comes once more after each of an object", async () => {
    proxy.faults = { late: 1 };
    const watched = await watch();
    const name = freshName();
    await make(direct, name);
    await change(name, "1");
    await direct.delete(CONFIG_MAPS, NAMESPACE, name);
    await waitUntil("five events", () => watched.events.length === 5);
    const [added, changed, gone] = [`ADDED ${name}`, `MODIFIED ${name} 1`, `DELETED ${name} 1`];
    assert.deepEqual(watched.events, [added, changed, added, gone, changed]);
  });

  test("reordered: an event is overtaken by one of another object, or by a newer one of its own", async () => {
    const [a, b] = [freshName(), freshName()];
    await make(direct, a);
    await make(direct, b);
    proxy.faults = { reordered: 1 };
    const watched = await watch();
    await changeUntil(a, () => proxy.count("overtaken") > 0);
    for (let count = 0; proxy.count("reordered") === 0; count++) {
      assert.ok(count < 500, "it never came about");
      await change(a, `a${count}`);
      await change(b, `b${count}`);
    }
    const isOvertaken = (): boolean =>
      watched.versions.some((version, index) => version < (watched.versions[index - 1] ?? 0));
    await waitUntil("seen", isOvertaken);
    const last = await direct.get(CONFIG_MAPS, NAMESPACE, b);
    // Nothing is lost by it.
    await waitUntil("all came", () => watched.versions.includes(Number(last?.metadata.resourceVersion)));
  });

  test("what is held back when the connection is cut is lost", async () => {
    const name = freshName();
    await make(direct, name);
    for (let attempt = 0; proxy.count("lost") === 0; attempt++) {
      assert.ok(attempt < 50, "it never came about");
      proxy.faults = { reordered: 1, cut: 1 };
      const watched = await watch();
      proxy.faults = { reordered: 1 };
      let isOver = false;
      void watched.ended.then(() => {
        isOver = true;
      });
      await changeUntil(name, () => isOver);
    }
  });
});
