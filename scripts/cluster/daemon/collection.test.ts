// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KubeObject } from "../kube.ts";
import { Collection, type ListWatcher } from "./collection.ts";

type Event = { type: string; object: KubeObject };

const object = (name: string): KubeObject => ({ metadata: { name, uid: name, resourceVersion: "5" } });

/** An API server whose lists and watches are given in advance; a watch that has no script stays open until the end. */
function scripted(lists: KubeObject[][], watches: (Event[] | Error)[]): ListWatcher & { versions: string[] } {
  const versions: string[] = [];
  return {
    versions,
    async list<T>() {
      return { metadata: { resourceVersion: `${versions.length}` }, items: (lists.shift() ?? []) as T[] };
    },
    async watch<T>(
      _path: string,
      version: string,
      onEvent: (event: { type: string; object: T }) => void,
      signal: AbortSignal,
    ) {
      versions.push(version);
      const script = watches.shift();
      if (script instanceof Error) throw script;
      for (const event of script ?? []) onEvent(event as { type: string; object: T });
      if (!script) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
  };
}

async function follow(
  kube: ListWatcher & { versions: string[] },
  watches: number,
): Promise<{ names: string[]; logs: string[]; changes: number }> {
  const stop = new AbortController();
  const logs: string[] = [];
  let changes = 0;
  const collection = new Collection<KubeObject>({
    kube,
    path: "/api/v1/things",
    onChange: () => {
      changes++;
      if (kube.versions.length >= watches - 1) setImmediate(() => stop.abort());
    },
    log: (text) => logs.push(text),
  });
  assert.equal(collection.isSynced, false);
  await collection.run(stop.signal);
  assert.equal(collection.isSynced, true);
  return {
    names: collection
      .values()
      .map((item) => item.metadata.name)
      .sort(),
    logs,
    changes,
  };
}

describe("Collection", () => {
  it("applies events in order", async () => {
    const events: Event[] = [
      { type: "ADDED", object: object("b") },
      { type: "MODIFIED", object: object("a") },
      { type: "BOOKMARK", object: { metadata: { name: "" } } },
      { type: "DELETED", object: object("a") },
    ];
    const kube = scripted([[object("a")], [object("b")]], [events]);
    const { names, logs } = await follow(kube, 2);
    assert.deepEqual([names, logs], [["b"], []]);
  });

  it("lists again after a watch ended, and forgets what is no longer there", async () => {
    const kube = scripted(
      [
        [object("a"), object("b")],
        [object("b"), object("c")],
      ],
      [[]],
    );
    const { names } = await follow(kube, 2);
    assert.deepEqual(names, ["b", "c"]);
    assert.deepEqual(kube.versions, ["0", "1"]);
  });

  it("lists again after the server refused the watch (410 Gone)", async () => {
    const kube = scripted([[object("a")], [object("z")]], [[{ type: "ERROR", object: object("gone") }]]);
    const { names, logs } = await follow(kube, 2);
    assert.deepEqual(names, ["z"]);
    assert.match(logs.join(), /the server ended the watch; again in/);
  });
});
