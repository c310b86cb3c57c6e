// SPDX-License-Identifier: Apache-2.0
// The demo page as an entry serves it, in a real browser, on a real fleet: every button, and what a person would see.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { launchChromium } from "../harness/chromium.ts";
import { useFleet } from "./fleet-suite.ts";

const BOUND_MS = 30_000;
const BUILD = fileURLToPath(new URL("../../examples/chat/build.ts", import.meta.url));

describe("the demo page on a real fleet", async () => {
  const demoDir = mkdtempSync(join(tmpdir(), "im-demo-page-"));
  after(() => rmSync(demoDir, { recursive: true }));
  await promisify(execFile)(process.execPath, [BUILD, demoDir], { timeout: BOUND_MS });
  const fleet = useFleet({ entries: 2, logics: 1, extlogics: 0, entryEnv: { IM_DEMO_DIR: demoDir } });
  let browser: Browser;
  before(async () => {
    browser = await launchChromium(createProgress());
  });
  after(() => browser?.close());

  const problems: string[] = [];
  beforeEach(() => problems.splice(0));
  let people = 0;

  /** The page of two new people, both connected. */
  async function open(context: BrowserContext): Promise<{ page: Page; left: Locator; right: Locator; url: string }> {
    people += 2;
    const names = [`alice-${people}`, `bob-${people}`];
    const tokens = await Promise.all(names.map((name) => fleet().tokens.mint(name)));
    const fragment = new URLSearchParams(Object.fromEntries(names.map((name, at) => [name, tokens[at] ?? ""])));
    const page = await context.newPage();
    page.setDefaultTimeout(BOUND_MS);
    page.on("pageerror", (error) => problems.push(error.message));
    const url = `https://127.0.0.1:${fleet().entry(0).tlsPort}/demo/#${fragment}`;
    await page.goto(url);
    const [left, right] = names.map((name) => page.locator(`section[data-user="${name}"]`)) as [Locator, Locator];
    for (const pane of [left, right]) await pane.locator('.state[data-state="open"]').waitFor();
    return { page, left, right, url };
  }
  const contextOf = (options: object = {}): Promise<BrowserContext> =>
    browser.newContext({ ignoreHTTPSErrors: true, locale: "en", ...options });
  const button = (pane: Locator, name: string): Locator => pane.getByRole("button", { name });
  const theirs = (pane: Locator): Promise<string[]> => pane.locator(".theirs .text").allTextContents();
  async function say(pane: Locator, text: string): Promise<void> {
    await pane.getByRole("textbox").fill(text);
    await pane.getByRole("textbox").press("Enter");
  }

  it("chats by keyboard; a killed socket, time offline and fifty at once lose nothing", async () => {
    const context = await contextOf();
    const { left, right } = await open(context);
    await say(left, "还在卖吗？ Still for sale? 👋🏽");
    await right.locator(".theirs .text").first().waitFor();
    await left.locator('.progress[data-progress="delivered"]').first().waitFor();
    await button(left, "Kill socket").click();
    await left.locator(".reconnects dd", { hasText: "1" }).waitFor();
    await left.locator('.state[data-state="open"]').waitFor();
    await button(right, "Go offline").click();
    await right.locator('.state[data-state="reconnecting"]').waitFor();
    await button(left, "Send 50").click();
    await left.locator('.progress[data-progress="stored"]').nth(49).waitFor();
    await say(right, "typed while offline");
    await right.locator(".waiting dd", { hasText: "1" }).waitFor();
    await button(right, "Go online").click();
    await right.locator(".theirs .text", { hasText: "#50" }).waitFor();
    const burst = Array.from({ length: 50 }, (_, at) => `#${at + 1}`);
    assert.deepEqual(await theirs(right), ["还在卖吗？ Still for sale? 👋🏽", ...burst]);
    await left.locator(".theirs .text", { hasText: "typed while offline" }).waitFor();
    await left.locator('.progress[data-progress="delivered"]').nth(50).waitFor();
    assert.match((await left.locator(".latency dd").textContent()) ?? "", /^[\d.]+ \/ [\d.]+ ms$/);
    assert.match((await left.locator(".entry dd").textContent()) ?? "", /^entry-0$/);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("is told when somebody signs in elsewhere, and takes the place back by a button", async () => {
    const context = await contextOf();
    const { left, url } = await open(context);
    // Another browser has other device ids.
    const other = await contextOf();
    const page = await other.newPage();
    await page.goto(url);
    await left.locator('.state[data-state="closed"]').waitFor();
    await left.locator(".notice", { hasText: "Signed in elsewhere" }).waitFor();
    await other.close();
    await button(left, "Connect here").click();
    await left.locator('.state[data-state="open"]').waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("fits a phone, follows the dark mode, and speaks Chinese to whoever prefers it", async () => {
    const context = await contextOf({ viewport: { width: 390, height: 844 }, colorScheme: "dark", locale: "zh-CN" });
    const { page, left } = await open(context);
    assert.equal(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
    const background = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const brightness = (background.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
    assert.ok(brightness < 3 * 64, background);
    await button(left, "离线").waitFor();
    const nameless = page.locator("button, textarea").filter({ hasNot: page.locator("[hidden]") });
    for (const control of await nameless.all()) {
      const name = (await control.getAttribute("aria-label")) ?? (await control.textContent()) ?? "";
      assert.notEqual(name.trim(), "");
    }
    await page.getByRole("button", { name: "English" }).click();
    await button(left, "Go offline").waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });
});
