// SPDX-License-Identifier: Apache-2.0
// The SDK as an application bundles it, in a real browser.
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import type { ImClient, Message, PendingMessage, SendOutcome } from "#client";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { launchChromium } from "../harness/chromium.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

/** What the page's script leaves for the test to call. */
interface PageWindow {
  checkIndexedDb(): Promise<string[]>;
  /** Opens a client on the IndexedDB of that name. */
  begin(options: { url: string; token: string; store: string; deviceId: string }): void;
  client: ImClient;
  shown: Message[];
  settled: SendOutcome[];
}

const SCRIPT = `
  import { ImClient } from "./src/index.ts";
  import { IndexedDbStore } from "./src/indexeddb.ts";
  import { checkStore } from "./test/store-contract.ts";
  window.checkIndexedDb = () => checkStore((name) => new IndexedDbStore("contract-" + name));
  window.begin = ({ url, token, store, deviceId }) => {
    const client = new ImClient({ url, getToken: () => token, deviceId, store: new IndexedDbStore(store) });
    Object.assign(window, { client, shown: [], settled: [] });
    client.on("message", (message) => window.shown.push(message));
    client.on("settled", (outcome) => window.settled.push(outcome));
    client.connect();
  };`;

async function servePage(): Promise<Server> {
  const resolveDir = fileURLToPath(new URL("../../client", import.meta.url));
  const stdin = { contents: SCRIPT, resolveDir, loader: "ts" } as const;
  const { outputFiles } = await build({ stdin, bundle: true, format: "iife", target: "es2022", write: false });
  const html = `<!doctype html><meta charset="utf-8"><title>SDK</title><script>${outputFiles[0]?.text}</script>`;
  const server = createServer((_request, response) => response.setHeader("content-type", "text/html").end(html));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

describe("the SDK in Chromium", async () => {
  const server = await servePage();
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fleet = useFleet({ entries: 1, logics: 1, extlogics: 0, entryEnv: { IM_HTTP_ORIGINS: origin } });
  let browser: Browser;
  let page: Page;

  before(async () => {
    browser = await launchChromium(createProgress());
    page = await browser.newPage();
    await page.goto(origin);
  });
  after(() => browser?.close());

  const inPage = <T>(run: (window: PageWindow) => T | Promise<T>): Promise<T> =>
    page.evaluate(`(${run})(window)`) as Promise<T>;
  const texts = (): Promise<string[]> => inPage(({ shown }) => shown.map(({ text }) => text));

  async function begin(uid: string): Promise<void> {
    const token = await fleet().tokens.mint(uid);
    const options = {
      url: `ws://127.0.0.1:${fleet().entry(0).plainPort}/ws`,
      token,
      store: `im-${uid}`,
      deviceId: uid,
    };
    await page.evaluate(`window.begin(${JSON.stringify(options)})`);
  }

  it("keeps its state in IndexedDB as every store must", async () => {
    assert.deepEqual(await inPage((window) => window.checkIndexedDb()), []);
  });

  it("a reload loses nothing that was on its way, and shows nothing twice", async () => {
    const bob = await login(fleet(), "bob", targetOf(fleet(), "tls", 0));
    await begin("alice");
    await inPage(({ client }) => client.ready({ signal: AbortSignal.timeout(60_000) }));
    await inPage(({ client }) => client.send({ to: "bob", content: "1" }));
    await bob.client.send({ to: "alice", content: "before" });
    await waitUntil("alice is shown it", async () => (await texts()).includes("before"));
    // Shown is not yet saved: a message that comes again rather than vanishes is the contract of a crash.
    await inPage(({ client }) => client.close());

    await page.reload();
    await begin("alice");
    await inPage(({ client }) => client.ready({ signal: AbortSignal.timeout(60_000) }));
    fleet().entry(0).sigstop();
    await inPage(({ client }) => {
      for (const content of ["2", "3", "4"]) client.send({ to: "bob", content }).catch(() => undefined);
      return client.saved();
    });
    await page.reload();
    // Within its lease.
    fleet().entry(0).sigcont();
    await begin("alice");
    const pending = await inPage<PendingMessage[]>(({ client }) => client.pending());
    await waitUntil("all are settled", async () => (await inPage(({ settled }) => settled.length)) === 3, 30_000);
    const outcomes = await inPage<SendOutcome[]>(({ settled }) => settled);
    assert.deepEqual(
      outcomes.map(({ error }) => error),
      [undefined, undefined, undefined],
    );
    assert.ok(pending.length <= 3);
    await bob.client.send({ to: "alice", content: "after" });
    await waitUntil("alice is shown it", async () => (await texts()).includes("after"));
    assert.deepEqual(await texts(), ["after"]);
    await waitMessages(bob, 4);
    assert.deepEqual(
      bob.messages.map(({ text }) => text),
      ["1", "2", "3", "4"],
    );
    assert.deepEqual(await inPage(({ client }) => client.pending()), []);
  });
});
