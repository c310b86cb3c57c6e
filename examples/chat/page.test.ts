// SPDX-License-Identifier: Apache-2.0
// The demo page in a real browser against a scripted fleet. Without a Chromium on the machine only the bundle is tested.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { buildDemo } from "./build.ts";
import { FakeFleet } from "./testing/fake-fleet.ts";

const CHROMIUM = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const executablePath = CHROMIUM.find((path) => path !== undefined && existsSync(path));
const BOUND_MS = 15_000;

const outDir = mkdtempSync(join(tmpdir(), "im-demo-"));
after(() => rmSync(outDir, { recursive: true }));
before(() => buildDemo(outDir));

describe("bundle", () => {
  it("holds all the page names, nothing from elsewhere, and no inline script", () => {
    const html = readFileSync(join(outDir, "index.html"), "utf8");
    for (const [, file] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      assert.ok(file && existsSync(join(outDir, file)), file);
    }
    assert.doesNotMatch(html, /<script(?![^>]*src=)|\son\w+=|https?:/);
    const code = readFileSync(join(outDir, "app.js"), "utf8");
    assert.doesNotMatch(code, /["']node:|new Function|eval\(/);
  });
});

it("a browser for the page", (t) => {
  if (executablePath === undefined) t.diagnostic("NOT RUN: no Chromium found; install one or set CHROMIUM_PATH");
});

/** WCAG contrast of a text with the ground of the card that it is on. */
async function contrastOf(about: Locator, text: string): Promise<number> {
  const colour = (of: Locator, name: string): Promise<string> =>
    of.evaluate((node, property) => String(getComputedStyle(node as never)[property as never]), name);
  const [ink, ground] = [
    luminance(await colour(about.locator(text), "color")),
    luminance(await colour(about, "backgroundColor")),
  ];
  return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
}

function luminance(rgb: string): number {
  const [red = 0, green = 0, blue = 0] = (rgb.match(/[\d.]+/g) ?? []).map((part) => {
    const share = Number(part) / 255;
    return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

if (executablePath !== undefined) {
  describe("page", { timeout: 120_000 }, () => {
    let fleet: FakeFleet;
    let browser: Browser;
    let page: Page;
    let pageUrl: string;
    const problems: string[] = [];

    before(async () => {
      browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    });
    after(() => browser.close());
    afterEach(async () => {
      await page.context().close();
      await fleet.close();
    });
    beforeEach(async () => {
      fleet = new FakeFleet(outDir);
      ({ pageUrl } = await fleet.listen());
      problems.length = 0;
      const context = await browser.newContext({ locale: "en-GB" });
      page = await context.newPage();
      page.setDefaultTimeout(BOUND_MS);
      page.on("pageerror", (error) => problems.push(error.message));
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    });

    const pane = (name: string): Locator => page.getByRole("region", { name });
    const open = async (): Promise<void> => {
      await page.goto(`${pageUrl}#alice=alice&bob=bob`);
      for (const name of ["alice", "bob"]) await pane(name).getByRole("status").getByText("Open").waitFor();
    };
    const say = async (name: string, text: string): Promise<void> => {
      await pane(name).getByRole("textbox").fill(text);
      await pane(name).getByRole("textbox").press("Enter");
    };
    const log = (name: string): Locator => pane(name).getByRole("log");
    const button = (name: string, label: string): Locator => pane(name).getByRole("button", { name: label });

    it("without tokens it says what to do", async () => {
      await page.goto(pageUrl);
      await page.getByRole("heading", { name: "Two tokens are missing" }).waitFor();
      assert.deepEqual([problems, fleet.online], [[], []]);
    });

    it("two people chat; a message goes from sending to delivered; figures and entry are shown", async () => {
      await open();
      fleet.holdsAcks = true;
      await say("alice", "Is it still for sale? 你好 👋🏽");
      await log("bob").getByText("你好 👋🏽").waitFor();
      await log("alice").getByText("delivered").waitFor();
      fleet.releaseAcks();
      await pane("alice").locator(".latency dd").getByText("ms").waitFor();
      await pane("alice")
        .locator(".entry dd")
        .getByText(/demo-entry-\d/)
        .waitFor();
      await say("bob", "line one");
      await log("alice").getByText("line one").waitFor();
      assert.deepEqual(problems, []);
    });

    it("a message to somebody away is stored, and a burst arrives in order", async () => {
      await open();
      await button("bob", "Go offline").click();
      await pane("bob").getByRole("status").getByText("Reconnecting").waitFor();
      await button("alice", "Send 50").click();
      await log("alice").getByText("stored").nth(49).waitFor();
      assert.equal(await log("bob").getByText("#50", { exact: true }).count(), 0);
      await say("bob", "typed while offline");
      await log("bob").getByText("sending").waitFor();
      await button("bob", "Go online").click();
      await log("bob").getByText("#50", { exact: true }).waitFor();
      const texts = await log("bob").locator(".theirs .text").allTextContents();
      assert.deepEqual(
        texts,
        Array.from({ length: 50 }, (_, i) => `#${i + 1}`),
      );
      await log("bob").getByText("delivered").waitFor();
      // Who writes on has read what was said before.
      await log("alice").getByText("read", { exact: true }).nth(49).waitFor();
    });

    it("a killed socket reconnects; a drained entry is left without a break", async () => {
      await open();
      await button("alice", "Kill socket").click();
      await log("alice").getByText("Connection lost: 3000").waitFor();
      await pane("alice").locator(".reconnects dd").getByText("1").waitFor();
      fleet.goaway("bob");
      await log("bob")
        .getByText(/Moved from demo-entry-\d to demo-entry-\d/)
        .waitFor();
      assert.equal(await pane("bob").locator(".reconnects dd").textContent(), "0");
      await say("alice", "still there?");
      await log("bob").getByText("still there?").waitFor();
    });

    it("a kick names the other device, and a button takes over again", async () => {
      await open();
      fleet.kick("alice", "Firefox on a phone");
      await log("alice").getByText("Signed in elsewhere: Firefox on a phone").waitFor();
      await pane("alice").getByRole("status").getByText("Closed").waitFor();
      await button("alice", "Connect here").click();
      await pane("alice").getByRole("status").getByText("Open").waitFor();
      assert.equal(await button("alice", "Connect here").count(), 0);
    });

    it("after a reload the history is back, own messages on the right side", async () => {
      fleet.say("alice", "bob", "from yesterday");
      await open();
      await log("alice").locator(".mine").getByText("from yesterday").waitFor();
      await log("bob").locator(".theirs").getByText("from yesterday").waitFor();
    });

    it("text of others is text, never markup", async () => {
      await open();
      fleet.say("bob", "alice", "<img src=x onerror=alert(1)>");
      await log("alice").getByText("<img src=x").waitFor();
      assert.equal(await page.locator("img").count(), 0);
    });

    it("speaks Chinese and English, and remembers which", async () => {
      await open();
      await page.getByRole("button", { name: "中文" }).click();
      await pane("alice").getByRole("status").getByText("已连接").waitFor();
      await say("alice", "hi");
      await log("alice").getByText("已送达").waitFor();
      assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
      await page.reload();
      await page.getByRole("heading", { name: "ImCluster 聊天" }).waitFor();
      await page.getByRole("button", { name: "English" }).click();
      await pane("bob").getByRole("textbox", { name: "Message to alice" }).waitFor();
    });

    it("fits a phone: nothing is wider than the screen, both panes can be used", async () => {
      await page.setViewportSize({ width: 360, height: 740 });
      await open();
      fleet.say("bob", "alice", "w".repeat(300));
      await log("alice").getByText("www").waitFor();
      const width = await page.evaluate("document.documentElement.scrollWidth");
      assert.ok(typeof width === "number" && width <= 360, String(width));
      await say("bob", "from the second pane");
      await log("alice").getByText("from the second pane").waitFor();
    });

    it("shows what the two talk about: picture, title and price, light and dark, on a phone, after a reload", async () => {
      const snapshot = { title: `自行车 ${"City bike ".repeat(12)}`, priceCents: 120_000, currency: "CNY" };
      const claims = { type: "item", ref: "bike-1", version: 1, snapshot };
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
      const card = `${part({ alg: "HS256", kid: "k1" })}.${part(claims)}.c2ln`;
      await page.setViewportSize({ width: 360, height: 740 });
      await page.goto(`${pageUrl}#alice=alice&bob=bob&item-card=${card}`);
      for (const name of ["alice", "bob"]) await pane(name).getByRole("status").getByText("Open").waitFor();
      assert.equal(await page.locator(".about:visible").count(), 0);
      await say("bob", "hello");
      await log("alice").getByText("hello").waitFor();
      await button("alice", "Ask about the item").click();
      const about = (name: string): Locator => pane(name).getByRole("complementary", { name: "What it is about" });
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        for (const name of ["alice", "bob"]) {
          await about(name).getByText("1200.00 CNY").waitFor();
          await about(name).getByText("自行车 City bike").waitFor();
          await about(name).locator(".about-picture").waitFor();
          assert.equal(await about(name).getAttribute("data-subject"), "item/bike-1");
          const ratio = Math.min(
            ...(await Promise.all(
              [".about-title", ".about-price", ".card-kind"].map((of) => contrastOf(about(name), of)),
            )),
          );
          assert.ok(ratio >= 4.5, `${colorScheme}: ${ratio}`);
        }
        const width = await page.evaluate("document.documentElement.scrollWidth");
        assert.ok(typeof width === "number" && width <= 360, String(width));
      }
      await page.reload();
      await about("bob").getByText("1200.00 CNY").waitFor();
      await pane("bob").locator(".contact-about", { hasText: "自行车" }).waitFor();
      assert.deepEqual(problems, []);
    });

    it("works by keyboard: Enter sends, Shift+Enter makes a line, every control has a name", async () => {
      await open();
      const input = pane("alice").getByRole("textbox", { name: "Message to bob" });
      await input.focus();
      await page.keyboard.type("one");
      await page.keyboard.press("Shift+Enter");
      await page.keyboard.type("two");
      await page.keyboard.press("Enter");
      await log("bob").getByText("one two").waitFor();
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      const names = await page.getByRole("button").evaluateAll((all) => all.map((one) => one.textContent?.trim()));
      assert.ok(names.length >= 9 && names.every((name) => name), names.join());
      assert.equal(await page.evaluate("document.activeElement?.textContent"), "Kill socket");
    });
  });
}
