// SPDX-License-Identifier: Apache-2.0
// The admin page as logic serves it, in a real browser, over a real fleet with something to show.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import type { Scope } from "../../logic/server-api/api-key.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { launchChromium } from "../harness/chromium.ts";
import { freePort } from "../harness/ports.ts";
import { type ApiAsk, callApi, createApiKey } from "./api-caller.ts";
import { login, targetOf, type User, useFleet, waitMessages } from "./fleet-suite.ts";

const BOUND_MS = 30_000;
const READ: readonly Scope[] = ["fleet:read", "users:read", "messages:read"];
/** Whoever reads it as HTML runs it. */
const HOSTILE = `<img src=x onerror="window.hit=1"><script>window.hit=1</script>"'&`;

const port = await freePort();
const origin = `http://127.0.0.1:${port}`;

describe("the admin page on a real fleet", () => {
  const fleet = useFleet({ entries: 2, logics: 1, extlogics: 0, logicEnv: { IM_API_PORT: String(port) } });
  let browser: Browser;
  let readKey: string;
  let alice: User;
  let bob: User;
  let messageId = "";
  const call = (ask: ApiAsk) => callApi(port, { ...ask, key: readKey });

  before(async () => {
    browser = await launchChromium(createProgress());
    readKey = await createApiKey(fleet().postgresUrl, READ);
    alice = await login(fleet(), "alice", targetOf(fleet(), "tls", 0));
    bob = await login(fleet(), "bob", targetOf(fleet(), "tls", 1), { deviceName: HOSTILE });
    messageId = (await alice.client.send({ to: "bob", content: "hello" })).messageId;
    await waitMessages(bob, 1);
  });
  after(() => browser?.close());

  const problems: string[] = [];
  beforeEach(() => problems.splice(0));

  const contextOf = (options: object = {}): Promise<BrowserContext> => browser.newContext({ locale: "en", ...options });

  /** The page without a key; nothing that it does may go anywhere else. */
  async function visit(context: BrowserContext, hash = ""): Promise<Page> {
    const page = await context.newPage();
    page.setDefaultTimeout(BOUND_MS);
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (line) => {
      // What the server refuses is said there as well.
      if (line.type() === "error" && !/status of 4\d\d/.test(line.text())) problems.push(line.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(`${origin}/`)) problems.push(`went to ${request.url()}`);
      if (request.url().includes("imk_")) problems.push("a key in an address");
    });
    await page.goto(`${origin}/admin/${hash}`);
    return page;
  }

  async function open(context: BrowserContext, hash = "", key = readKey): Promise<Page> {
    const page = await visit(context, hash);
    await page.locator("#key").fill(key);
    await page.locator("#key").press("Enter");
    return page;
  }

  const facts = (page: Page, name: string) =>
    page.locator(".facts div", { has: page.getByText(name, { exact: true }) });
  const row = (page: Page, text: string) => page.locator("tbody tr", { hasText: text });

  it("shows the entries with the connections that they have", async () => {
    const context = await contextOf();
    const page = await open(context);
    for (const entry of ["entry-0", "entry-1"])
      await row(page, entry).locator(".badge", { hasText: "serving" }).waitFor();
    await facts(page, "Sessions").getByText("2", { exact: true }).waitFor();
    const body = (await call({ method: "GET", path: "/v1/fleet" })).body as { entries: { name: string }[] };
    assert.deepEqual(
      await page.locator("tbody td:first-child").allTextContents(),
      body.entries.map(({ name }) => name),
    );
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("shows a user's devices and where they are, whatever they call themselves", async () => {
    const context = await contextOf();
    const page = await open(context, "#/user/bob");
    const device = row(page, "bob-device");
    await device.waitFor();
    assert.ok((await device.textContent())?.includes(`${HOSTILE} (bob-device)`), "as it was written");
    await device.locator("td", { hasText: "entry-1" }).waitFor();
    await device.locator("td", { hasText: "mobile" }).waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.equal(await page.evaluate("window.hit"), undefined);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("tells the story of a message", async () => {
    const context = await contextOf();
    const page = await open(context, "#/message");
    await page.getByLabel("User id").fill("alice");
    await page.getByLabel("Message id").fill(messageId);
    await page.getByRole("button", { name: "Show" }).click();
    await row(page, "bob").locator(".badge", { hasText: "acknowledged by a device" }).waitFor();
    await facts(page, "Content").getByText("5 bytes").waitFor();
    await row(page, "bob").getByRole("link", { name: "bob" }).click();
    await page.locator("h2", { hasText: "bob" }).waitFor();
    assert.equal(new URL(page.url()).hash, "#/user/bob");
    await page.goBack();
    await row(page, "bob").locator(".badge", { hasText: "acknowledged" }).waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });
});
