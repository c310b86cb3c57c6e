// SPDX-License-Identifier: Apache-2.0
// The demo page in two browsers, each with a profile of its own: in one Alice writes, in the other Bob.
import type { Browser, Locator, Page } from "playwright-core";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { launchChromium } from "../harness/chromium.ts";

const STEP_TIMEOUT_MS = 30_000;

const pane = (page: Page, user: string): Locator => page.locator(`section[data-user="${user}"]`);

const connected = (page: Page, user: string): Promise<void> =>
  pane(page, user).locator('.state[data-state="open"]').waitFor({ timeout: STEP_TIMEOUT_MS });

export class TwoPages {
  readonly #browser: Browser;
  readonly #pages: Readonly<Record<"alice" | "bob", Page>>;
  /** Faults of the page's own code. */
  readonly errors: string[] = [];

  private constructor(browser: Browser, alice: Page, bob: Page) {
    this.#browser = browser;
    this.#pages = { alice, bob };
    for (const page of [alice, bob]) page.on("pageerror", ({ message }) => this.errors.push(message));
  }

  /**
   * Opens the address in both, as it is. Both people are on the page, and a person is in one browser at a time: the second takes
   * both over, and Alice is taken back in the first. Resolves when she is connected there, and he in the second.
   */
  static async open(url: string): Promise<TwoPages> {
    const browser = await launchChromium(createProgress());
    try {
      const open = async (): Promise<Page> => {
        // The demo's certificate is signed by its own CA; a person lets the browser go on.
        const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en" });
        const page = await context.newPage();
        await page.goto(url, { timeout: STEP_TIMEOUT_MS });
        for (const user of ["alice", "bob"]) await connected(page, user);
        return page;
      };
      const pages = new TwoPages(browser, await open(), await open());
      await pages.takeBack("alice");
      await pages.connected();
      return pages;
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  /** Presses "Connect here" in their browser, after another one took them over. */
  async takeBack(user: "alice" | "bob"): Promise<void> {
    await pane(this.#pages[user], user)
      .getByRole("button", { name: "Connect here" })
      .click({ timeout: STEP_TIMEOUT_MS });
  }

  /** Resolves when each is connected in their browser. */
  async connected(): Promise<void> {
    await connected(this.#pages.alice, "alice");
    await connected(this.#pages.bob, "bob");
  }

  /** One writes in their browser; resolves when the other one reads it in theirs, once. */
  async say(from: "alice" | "bob", text: string): Promise<void> {
    const to = from === "alice" ? "bob" : "alice";
    const box = pane(this.#pages[from], from).locator("textarea");
    await box.fill(text, { timeout: STEP_TIMEOUT_MS });
    await box.press("Enter");
    const shown = pane(this.#pages[to], to).locator(".theirs .text", { hasText: text });
    await shown.first().waitFor({ timeout: STEP_TIMEOUT_MS });
    const count = await shown.count();
    if (count !== 1) throw new Error(`${to} reads "${text}" ${count} times`);
  }

  close(): Promise<void> {
    return this.#browser.close();
  }
}
