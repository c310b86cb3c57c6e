// SPDX-License-Identifier: Apache-2.0
// `make screenshot`: two people chat on the demo page of the running cluster in real Chromium, and their shop joins in by the
// server API; writes docs/images/demo.png (or --out FILE). Last line: what was seen, as JSON. Exit 1 when something was not shown.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { openKubeTools } from "../../scripts/up/kube-tools.ts";
import { sampleItemCard } from "../../scripts/up/shop.ts";
import { launchChromium } from "../harness/chromium.ts";
import { clusterSite } from "../market/cluster-site.ts";
import type { MarketSite } from "../market/site.ts";

const STEP_TIMEOUT_MS = 15_000;
const TYPING_DELAY_MS = 1600;
const TALK = [
  ["alice", "Hi Bob, is it still available?"],
  ["bob", "Yes! 1200 元, 可小刀 😄"],
  ["alice", "那 1100 可以吗？I can pick it up today."],
  ["bob", "Deal. 下午三点, Chaoyang Park west gate?"],
] as const;

const progress = createProgress();

const pane = (page: Page, user: string) => page.locator(`section[data-user="${user}"]`);

/** Shown once more than before on the other side, and read there: the page may hold the same words from an earlier run. */
async function say(page: Page, user: string, peer: string, text: string): Promise<void> {
  const theirs = pane(page, peer).locator(".theirs .text", { hasText: text });
  const mine = pane(page, user).locator(".mine", { hasText: text });
  const [shown, sent] = [await theirs.count(), await mine.count()];
  await pane(page, user).locator("textarea").fill(text);
  await pane(page, user).locator("textarea").press("Enter");
  await theirs.nth(shown).waitFor({ timeout: STEP_TIMEOUT_MS });
  await mine.nth(sent).locator('.progress[data-progress="read"]').waitFor({ timeout: STEP_TIMEOUT_MS });
}

async function cutSocket(page: Page): Promise<void> {
  const alice = pane(page, "alice");
  await alice.getByRole("button", { name: /kill|断开/i }).click();
  await alice.locator('.state[data-state="open"]').waitFor({ timeout: STEP_TIMEOUT_MS });
}

/** Alice asks about the item of the page's address. */
async function askAboutItem(page: Page): Promise<void> {
  const cards = pane(page, "bob").locator(".theirs .card");
  const before = await cards.count();
  await pane(page, "alice").getByRole("button", { name: "Ask about the item" }).click();
  await cards.nth(before).waitFor({ timeout: STEP_TIMEOUT_MS });
}

/** "Your order is paid", for Alice. */
async function notify(page: Page, site: MarketSite): Promise<void> {
  const body = {
    ...{ from: "svc:orders", to: "alice", kind: "order.paid", title: "订单已付款 Order paid 💰" },
    facts: { orderId: `4711-${Date.now() % 10_000}` },
  };
  const { status } = await site.callApi({ method: "POST", path: "/v1/notifications", body });
  if (status !== 201) throw new Error(`POST /v1/notifications was answered with ${status}`);
  const service = pane(page, "alice").locator('.contact[data-kind="service"]', { hasText: "orders" });
  await service.locator(".unread").waitFor({ timeout: STEP_TIMEOUT_MS });
}

async function show(url: string, out: string, site: MarketSite): Promise<object> {
  const browser = await launchChromium(progress);
  try {
    // The demo's CA is the cluster's own; the SDK suites verify it, the browser has no store to add it to.
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 1280, height: 860 },
      locale: "en",
    });
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(url, { timeout: STEP_TIMEOUT_MS });
    for (const user of ["alice", "bob"])
      await pane(page, user).locator('.state[data-state="open"]').waitFor({ timeout: STEP_TIMEOUT_MS });
    progress.line("both are online");
    await askAboutItem(page);
    for (const [user, text] of TALK) await say(page, user, user === "alice" ? "bob" : "alice", text);
    await cutSocket(page);
    await say(page, "bob", "alice", "See you there 👋");
    await notify(page, site);
    progress.line(`${TALK.length + 1} messages shown and read, one after a cut socket; a card, a system message`);
    // The talk was faster than people's: the server may have heard enough of Bob's typing, and is told again after 3 s.
    await pane(page, "bob").locator("textarea").pressSequentially("自行车", { delay: TYPING_DELAY_MS });
    await pane(page, "alice").locator(".typing", { hasText: "bob" }).waitFor({ timeout: STEP_TIMEOUT_MS });
    mkdirSync(dirname(out), { recursive: true });
    await page.screenshot({ path: out });
    const entries = await page.locator(".figure.entry dd").allTextContents();
    return { shown: TALK.length + 1, entries, pageErrors: errors.length, screenshot: out };
  } finally {
    await browser.close();
  }
}

const { values } = parseArgs({ options: { out: { type: "string" } } });
try {
  const site = await clusterSite(await openKubeTools({ progress }));
  try {
    const fragment = new URLSearchParams({
      ...{ alice: await site.getToken("alice"), bob: await site.getToken("bob") },
      "item-card": sampleItemCard(site.cardKey),
    });
    const url = `https://${site.address}/demo/#${fragment}`;
    console.log(JSON.stringify(await show(url, values.out ?? join(PROJECT_ROOT, "docs/images/demo.png"), site)));
  } finally {
    site.close();
  }
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
