// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import type { KubeClient } from "../kube/client.ts";
import { SECRETS, type Secret } from "../kube/types.ts";
import { ObjectReader } from "./object-reader.ts";

const secret = (resourceVersion: string, uid = "u"): Secret => ({
  metadata: { namespace: "shop", name: "s", uid, resourceVersion },
});

/** A reader, and what the API server answers it: a new object each time. */
function setUp() {
  const clock = new FakeClock();
  const world = { now: undefined as Secret | undefined, asked: 0 };
  const get = () => {
    world.asked++;
    return Promise.resolve(structuredClone(world.now));
  };
  const reader = new ObjectReader({ get } as unknown as KubeClient, SECRETS, clock);
  const read = async () => (await reader.read("shop", ["s"])).get("s");
  return { clock, world, reader, read };
}

describe("ObjectReader", () => {
  it("asks again for one that is there after 30 s, for one that is not after 2 s", async () => {
    const { clock, world, read } = setUp();
    for (const [waitMs, asked] of [
      [0, 1],
      [1_999, 1],
      [1, 2],
    ] as const) {
      clock.advance(waitMs);
      assert.equal(await read(), undefined);
      assert.equal(world.asked, asked);
    }
    world.now = secret("1");
    clock.advance(2_000);
    await read();
    clock.advance(29_999);
    await read();
    assert.equal(world.asked, 3);
    clock.advance(1);
    await read();
    assert.equal(world.asked, 4);
  });

  it("gives the same object as long as it is the same Secret in the same version", async () => {
    const { clock, world, read, reader } = setUp();
    const later = async (now: Secret | undefined) => {
      world.now = now;
      clock.advance(30_000);
      return await read();
    };
    const first = await later(secret("1"));
    assert.equal(await later(secret("1")), first);
    const changed = await later(secret("2"));
    assert.deepEqual([changed?.metadata.resourceVersion, changed === first], ["2", false]);
    assert.notEqual(await later(secret("2", "another")), changed, "deleted and made again");
    assert.equal(await later(undefined), undefined);
    const written = secret("9");
    reader.wrote(written);
    assert.equal(await read(), written);
    reader.forget("shop", "s");
    assert.equal(await read(), undefined, "asked at once");
  });

  it("forgets those of a cluster that is gone", async () => {
    const { clock, world, reader, read } = setUp();
    world.now = secret("1");
    await reader.read("shop", ["a", "b", "c"]);
    for (let minute = 0; minute < 5; minute++) {
      await read();
      clock.advance(60_000);
    }
    assert.equal(reader.size, 4);
    await read();
    assert.equal(reader.size, 1);
  });
});
