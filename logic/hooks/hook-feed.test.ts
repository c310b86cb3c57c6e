// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Lifecycle } from "#lib/lifecycle.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { openHookFeed } from "./hook-feed.ts";

/** What is wanted of the store with a hook for these events; undefined: without a file. */
async function wantedWith(events: readonly string[] | undefined): Promise<object> {
  const dir = await mkdtemp(join(tmpdir(), "im-hooks-"));
  const wanted = { messages: false, reports: false };
  const lifecycle = new Lifecycle(silentLogger);
  try {
    const path = join(dir, "hooks.json");
    const hook = { name: "shop", url: "https://shop.example/hook", secret: "0123456789abcdef0123456789abcdef", events };
    await writeFile(path, JSON.stringify({ hooks: [hook] }));
    const store = {
      hooks: { wantMessages: (isWanted: boolean) => Object.assign(wanted, { messages: isWanted }) },
      policy: { wantReports: (isWanted: boolean) => Object.assign(wanted, { reports: isWanted }) },
      visiblePeers: async () => [],
    };
    const ports = { store, clock: new FakeClock(), random: () => 0, registry: new Metrics(), onFault: assert.ifError };
    await openHookFeed(events ? { IM_HOOKS_FILE: path } : {}, ports, lifecycle);
    return wanted;
  } finally {
    await lifecycle.stop("test");
    await rm(dir, { recursive: true });
  }
}

describe("the feed of webhooks in logic", () => {
  it("has the store leave events only for what a hook wants", async () => {
    assert.deepEqual(await wantedWith(undefined), { messages: false, reports: false });
    assert.deepEqual(await wantedWith(["message.after"]), { messages: true, reports: false });
    assert.deepEqual(await wantedWith(["report.created", "presence"]), { messages: false, reports: true });
  });
});
