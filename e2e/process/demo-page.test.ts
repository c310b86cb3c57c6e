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
import { signCard } from "../../logic/changes/card.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { launchChromium } from "../harness/chromium.ts";
import { fleetSite, prepareGround } from "../market/fleet-site.ts";
import type { ApiAnswer, ApiCall, MarketSite } from "../market/site.ts";
import { useFleet } from "./fleet-suite.ts";

const BOUND_MS = 30_000;
const BUILD = fileURLToPath(new URL("../../examples/chat/build.ts", import.meta.url));

/** The page of two people. */
interface Opened {
  readonly page: Page;
  readonly left: Locator;
  readonly right: Locator;
  readonly url: string;
  readonly alice: string;
  readonly bob: string;
}

describe("the demo page on a real fleet", async () => {
  const demoDir = mkdtempSync(join(tmpdir(), "im-demo-page-"));
  after(() => rmSync(demoDir, { recursive: true }));
  await promisify(execFile)(process.execPath, [BUILD, demoDir], { timeout: BOUND_MS });
  const ground = await prepareGround();
  after(() => ground.close());
  const fleet = useFleet({ ...ground.options, extlogics: 0, entryEnv: { IM_DEMO_DIR: demoDir } });
  let shop: Promise<MarketSite> | undefined;
  /** What the shop's backend does. */
  const callShop = async (call: ApiCall): Promise<ApiAnswer> => {
    shop ??= fleetSite(fleet(), ground);
    return await (await shop).callApi(call);
  };
  let browser: Browser;
  before(async () => {
    browser = await launchChromium(createProgress());
  });
  after(() => browser?.close());

  const problems: string[] = [];
  beforeEach(() => problems.splice(0));
  let people = 0;

  /** The page of two new people, both connected. */
  async function open(context: BrowserContext, card = ""): Promise<Opened> {
    people += 2;
    const names = [`alice-${people}`, `bob-${people}`];
    const tokens = await Promise.all(names.map((name) => fleet().tokens.mint(name)));
    const fragment = new URLSearchParams(Object.fromEntries(names.map((name, at) => [name, tokens[at] ?? ""])));
    if (card !== "") fragment.set("item-card", card);
    const page = await context.newPage();
    page.setDefaultTimeout(BOUND_MS);
    page.on("pageerror", (error) => problems.push(error.message));
    const url = `https://127.0.0.1:${fleet().entry(0).tlsPort}/demo/#${fragment}`;
    await page.goto(url);
    const [left, right] = names.map((name) => page.locator(`section[data-user="${name}"]`)) as [Locator, Locator];
    for (const pane of [left, right]) await pane.locator('.state[data-state="open"]').waitFor();
    const [alice = "", bob = ""] = names;
    return { page, left, right, url, alice, bob };
  }
  const contextOf = (options: object = {}): Promise<BrowserContext> =>
    browser.newContext({ ignoreHTTPSErrors: true, locale: "en", ...options });
  const button = (pane: Locator, name: string): Locator => pane.getByRole("button", { name });
  const theirs = (pane: Locator): Promise<string[]> => pane.locator(".theirs .text").allTextContents();
  async function makeGroup(pane: Locator, name: string): Promise<void> {
    await pane.locator(".new-group summary").click();
    await pane.getByRole("textbox", { name: "Name of the group" }).fill(name);
    await button(pane, "Create").click();
    await pane.locator(".thread-title", { hasText: name }).waitFor();
  }
  async function say(pane: Locator, text: string): Promise<void> {
    await pane.locator("textarea").fill(text);
    await pane.locator("textarea").press("Enter");
  }

  it("chats by keyboard; a killed socket, time offline and fifty at once lose nothing", async () => {
    const context = await contextOf();
    const { left, right } = await open(context);
    await say(left, "还在卖吗？ Still for sale? 👋🏽");
    await right.locator(".theirs .text").first().waitFor();
    await left.locator('.progress[data-progress="read"]').first().waitFor();
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
    await left.locator('.progress[data-progress="read"]').nth(50).waitFor();
    assert.match((await left.locator(".latency dd").textContent()) ?? "", /^[\d.]+ \/ [\d.]+ ms$/);
    assert.match((await left.locator(".entry dd").textContent()) ?? "", /^entry-0$/);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("shows who wrote and what is unread, who types, and what was read once it is looked at", async () => {
    const context = await contextOf();
    const { left, right, alice, bob } = await open(context);
    await say(left, "hello");
    await right.locator(".theirs .text", { hasText: "hello" }).waitFor();
    await right.locator("textarea").pressSequentially("还在吗");
    await left.locator(".typing", { hasText: `${bob} is typing` }).waitFor();
    // The other side looks at a group, not at bob.
    await makeGroup(left, "Cyclists 🚲");
    await say(right, "one 👋");
    await say(right, "two");
    const contact = left.locator(`.contact[data-key="partner"]`);
    await contact.locator(".unread", { hasText: "2" }).waitFor();
    // Who has sent it types no more.
    await contact.locator(".preview", { hasText: "two" }).waitFor();
    await right.locator('.contact[data-kind="group"]', { hasText: "Cyclists 🚲" }).waitFor();
    await right.locator('.progress[data-progress="delivered"]').nth(1).waitFor();
    assert.equal(await right.locator('.progress[data-progress="read"]').count(), 0);
    await contact.click();
    await right.locator('.progress[data-progress="read"]').nth(1).waitFor();
    await contact.locator(".unread").waitFor({ state: "detached" });
    assert.deepEqual(await theirs(left), ["one 👋", "two"]);
    assert.equal(await contact.getAttribute("aria-current"), "true");
    assert.notEqual(alice, bob);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("edits a message in place, and takes one back", async () => {
    const context = await contextOf();
    const { left, right } = await open(context);
    await say(left, "firts");
    await right.locator(".theirs .text", { hasText: "firts" }).waitFor();
    await button(left, "Edit").click();
    await left.locator(".editing", { hasText: "Editing" }).waitFor();
    assert.equal(await left.locator("textarea").inputValue(), "firts");
    await say(left, "第一 first");
    for (const pane of [left, right]) {
      await pane.locator(".text", { hasText: "第一 first" }).waitFor();
      await pane.locator(".edited").waitFor();
    }
    assert.deepEqual(await theirs(right), ["第一 first"]);
    // What is begun and given up changes nothing.
    await button(left, "Edit").click();
    await left.locator("textarea").press("Escape");
    assert.equal(await left.locator("textarea").inputValue(), "");
    await button(left, "Recall").click();
    for (const pane of [left, right])
      await pane.locator(".is-recalled .text", { hasText: "Message recalled" }).waitFor();
    assert.deepEqual(await theirs(right), ["Message recalled"]);
    assert.equal(await button(left, "Edit").count(), 0);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("asks about an item by its card, and its buttons ask the shop", async () => {
    const context = await contextOf();
    const snapshot = { title: "自行车 🚲", priceCents: 120_000, currency: "CNY" };
    const actions = [{ id: "reserve", label: "预留 Reserve" }];
    const card = signCard({ type: "item", ref: "i-1", version: 1, snapshot, actions }, ground.cardKey);
    const { left, right } = await open(context, card);
    await button(left, "Ask about the item").click();
    const shown = right.locator(".card");
    await shown.getByRole("heading", { name: "自行车 🚲" }).waitFor();
    assert.equal(await shown.locator("dd").textContent(), "1200.00 CNY");
    // What the two talk about, above what they say, as the list has it.
    for (const pane of [left, right]) {
      await pane.locator('.about[data-subject="item/i-1"] .about-title', { hasText: "自行车 🚲" }).waitFor();
      await pane.locator(".about-price", { hasText: "1200.00 CNY" }).waitFor();
    }
    await shown.getByRole("button", { name: "Reserve" }).click();
    await right.locator(".notice", { hasText: 'The shop answers 200: {"done":"reserve","ref":"i-1"' }).waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("blocks whom one talks to, and ends it", async () => {
    const context = await contextOf();
    const { left, right, bob } = await open(context);
    await say(right, "before");
    await left.locator(".theirs .text", { hasText: "before" }).waitFor();
    await button(left, "Block").click();
    await left.locator(".notice", { hasText: `You have blocked ${bob}` }).waitFor();
    await say(right, "unheard");
    await right.locator(".mine", { hasText: "unheard" }).locator('.progress[data-progress="stored"]').waitFor();
    await button(left, "Unblock").click();
    await left.locator(".notice", { hasText: `${bob} may write` }).waitFor();
    await say(right, "after");
    await left.locator(".theirs .text", { hasText: "after" }).waitFor();
    assert.deepEqual(await theirs(left), ["before", "after"]);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("says why a message is bounced", async () => {
    const context = await contextOf();
    const { left, right } = await open(context);
    await say(left, "加我微信 abc12345");
    const failed = left.locator('.progress[data-progress="failed"]', {
      hasText: "Please keep contacts out of the chat",
    });
    await failed.waitFor();
    await say(left, "还在卖吗？");
    await right.locator(".theirs .text", { hasText: "还在卖吗" }).waitFor();
    assert.deepEqual(await theirs(right), ["还在卖吗？"]);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("makes a group, says who did what in it, and leaves it", async () => {
    const context = await contextOf();
    const { left, right, alice, bob } = await open(context);
    await makeGroup(left, "自行车爱好者 🚲");
    const group = right.locator('.contact[data-kind="group"]');
    await group.locator(".unread").waitFor();
    await group.click();
    await right.locator(".notice", { hasText: `${alice} made the group 自行车爱好者 🚲 with ${bob}` }).waitFor();
    await say(left, "hello all");
    await right.locator(".theirs", { hasText: "hello all" }).locator(".sender", { hasText: alice }).waitFor();
    await button(right, "Leave group").click();
    await left.locator(".notice", { hasText: `${bob} left` }).waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("shows what the shop tells its users", async () => {
    const context = await contextOf();
    const { right, bob } = await open(context);
    const body = {
      ...{ from: "svc:orders", to: bob, kind: "order.paid", title: "订单已付款 Your order is paid 💰" },
      ...{ text: "It is on its way soon.", facts: { orderId: "4711" } },
    };
    const { status } = await callShop({ method: "POST", path: "/v1/notifications", body });
    assert.equal(status, 201);
    const service = right.locator('.contact[data-kind="service"]', { hasText: "orders" });
    await service.locator(".preview", { hasText: "订单已付款" }).waitFor();
    await service.click();
    const shown = right.locator(".is-notification .card");
    await shown.getByRole("heading", { name: "Your order is paid 💰" }).waitFor();
    assert.equal(await shown.locator("dd").textContent(), "4711");
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("shows what everybody is told at once, as text, once", async () => {
    const context = await contextOf();
    const { left, right } = await open(context);
    const content = "系统维护 Maintenance <b>soon</b>";
    const body = { contentType: "text/plain", content, audience: "all", urgent: true, notAfterMs: Date.now() + 60_000 };
    const { status } = await callShop({ method: "POST", path: "/v1/broadcasts", body });
    assert.equal(status, 201);
    const notice = `📢 ${content}`;
    for (const pane of [left, right]) await pane.locator(".notice", { hasText: notice }).waitFor();
    await say(left, "did you see?");
    await right.locator(".theirs .text", { hasText: "did you see?" }).waitFor();
    for (const pane of [left, right]) assert.equal(await pane.locator(".notice", { hasText: notice }).count(), 1);
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
