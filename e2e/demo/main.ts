// SPDX-License-Identifier: Apache-2.0
// `make screenshot`: two people chat on the demo page of the running cluster in real Chromium; writes docs/images/demo.png
// (or --out FILE). Last line: what was seen, as JSON. Exit 1 when a message was not shown.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { demoAccess } from "../../scripts/up/demo.ts";
import { openKubeTools } from "../../scripts/up/kube-tools.ts";
import { launchChromium } from "../harness/chromium.ts";

const STEP_TIMEOUT_MS = 15_000;
const TALK = [
  ["alice", "Hi Bob, is the bicycle still available? 🚲"],
  ["bob", "Yes! 1200 元, 可小刀 😄"],
  ["alice", "那 1100 可以吗？I can pick it up today."],
  ["bob", "Deal. 下午三点, Chaoyang Park west gate?"],
] as const;

const progress = createProgress();

const pane = (page: Page, user: string) => page.locator(`section[data-user="${user}"]`);

/** Shown once more than before on the other side, and marked so: the page may hold the same words from an earlier run. */
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

async function show(url: string, out: string): Promise<object> {
  const browser = await launchChromium(progress);
  try {
    // The demo's CA is the cluster's own; the SDK suites verify it, the browser has no store to add it to.
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 1180, height: 760 },
      locale: "en",
    });
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(url, { timeout: STEP_TIMEOUT_MS });
    for (const user of ["alice", "bob"])
      await pane(page, user).locator('.state[data-state="open"]').waitFor({ timeout: STEP_TIMEOUT_MS });
    progress.line("both are online");
    for (const [user, text] of TALK) await say(page, user, user === "alice" ? "bob" : "alice", text);
    await cutSocket(page);
    await say(page, "bob", "alice", "See you there 👋");
    progress.line(`${TALK.length + 1} messages shown, one after a cut socket`);
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
  const tools = await openKubeTools({ progress });
  const access = await demoAccess(tools);
  const fragment = `alice=${await access.mintToken("alice")}&bob=${await access.mintToken("bob")}`;
  const seen = await show(
    `https://${access.address}/demo/#${fragment}`,
    values.out ?? join(PROJECT_ROOT, "docs/images/demo.png"),
  );
  console.log(JSON.stringify(seen));
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
