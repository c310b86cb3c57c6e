// SPDX-License-Identifier: Apache-2.0
// The admin page as logic serves it, in a real browser, over a real fleet with something to show.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { createRedis, whenReady } from "#lib/redis.ts";
import { buryLetters } from "../../logic/push/dead-letters.ts";
import { makeKey, type Scope } from "../../logic/server-api/api-key.ts";
import { FleetClient } from "../../operator/imcluster/fleet-client.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { launchChromium } from "../harness/chromium.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { lowContrasts, unnamedControls } from "./admin-page-checks.ts";
import { type ApiAsk, callApi, createApiKey } from "./api-caller.ts";
import { login, targetOf, type User, useFleet, waitMessages } from "./fleet-suite.ts";

const BOUND_MS = 60_000;
const READ: readonly Scope[] = ["fleet:read", "users:read", "messages:read", "broadcasts:read", "dead-letters:read"];
const ACT: readonly Scope[] = ["users:manage", "broadcasts:manage", "dead-letters:replay", "audit:read"];
const VIEWS = ["fleet", "drains", "user/bob", "message/alice/MESSAGE", "broadcasts", "letters"];
const PHONE = { width: 360, height: 740 };
/** Whoever reads it as HTML runs it. */
const HOSTILE = `<img src=x onerror="window.hit=1"><script>window.hit=1</script>"'&`;
const DRAIN_MS = 600_000;
/** After which the page looks again by itself. */
const INTERVAL_MS = 10_000;

const port = await freePort();
const origin = `http://127.0.0.1:${port}`;

describe("the admin page on a real fleet", () => {
  const fleet = useFleet({ entries: 2, logics: 1, extlogics: 0, logicEnv: { IM_API_PORT: String(port) } });
  let browser: Browser;
  let readKey: string;
  let actKey: string;
  let alice: User;
  let bob: User;
  let messageId = "";
  let broadcastId = "";
  const call = (ask: ApiAsk) => callApi(port, { ...ask, key: actKey });

  before(async () => {
    browser = await launchChromium(createProgress());
    const { postgresUrl } = fleet();
    [readKey, actKey] = await Promise.all([
      createApiKey(postgresUrl, READ),
      createApiKey(postgresUrl, [...READ, ...ACT]),
    ]);
    alice = await login(fleet(), "alice", targetOf(fleet(), "tls", 0, 1));
    bob = await login(fleet(), "bob", targetOf(fleet(), "tls", 1), { deviceName: HOSTILE });
    messageId = (await alice.client.send({ to: "bob", content: "hello" })).messageId;
    await waitMessages(bob, 1);
    const sale = { contentType: "text/plain", content: HOSTILE, audience: "all", notAfterMs: 4_000_000_000_000 };
    const made = await call({ method: "POST", path: "/v1/broadcasts", body: { ...sale, topic: "sale" } });
    broadcastId = String(made.body.broadcastId);
    const redis = createRedis(fleet().redisUrl, { name: "admin-page-test", commandTimeoutMs: 5000 });
    await whenReady(redis, BOUND_MS);
    await buryLetters(redis, [
      { userId: "carol", inboxSeq: 3, reason: HOSTILE },
      { userId: "bob", inboxSeq: 4, reason: "exhausted" },
    ]);
    redis.disconnect();
  });
  after(() => browser?.close());

  const problems: string[] = [];
  let asked: string[] = [];
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
    asked = [];
    page.on("request", (request) => {
      asked.push(`${request.method()} ${new URL(request.url()).pathname}`);
      if (!request.url().startsWith(`${origin}/`)) problems.push(`went to ${request.url()}`);
      if (request.url().includes("imk_")) problems.push("a key in an address");
    });
    await page.clock.install();
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
  const badgeOf = (page: Page, name: string, state: string) => row(page, name).locator(".badge", { hasText: state });
  const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
  const isSafe = async (page: Page): Promise<void> => {
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.equal(await page.evaluate("window.hit"), undefined);
  };

  it("takes keys only, says what to do with a wrong one, and keeps none", async () => {
    const context = await contextOf();
    const page = await visit(context);
    const alert = page.getByRole("alert");
    await page.locator("#key").fill("hunter2");
    await button(page, "Open").click();
    await alert.getByText("This is no API key").waitFor();
    assert.deepEqual(
      asked.filter((path) => path.includes("/v1/")),
      [],
      "what is no key is not sent",
    );
    await page.locator("#key").fill(makeKey().text);
    await page.locator("#key").press("Enter");
    await alert.getByText("unknown here, expired or revoked").waitFor();
    await page.locator("#key").fill(readKey);
    await page.locator("#key").press("Enter");
    await badgeOf(page, "entry-0", "serving").waitFor();
    const kept = "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])";
    assert.ok(!String(await page.evaluate(kept)).includes("imk_"));
    assert.ok(!(await page.content()).includes(readKey));
    await page.reload();
    await page.locator("#key").waitFor();
    await page.locator("#key").fill(readKey);
    await page.locator("#key").press("Enter");
    await page.getByRole("button", { name: /^Forget key/ }).click();
    await page.locator("#key").waitFor();
    assert.equal(await page.locator("#key").inputValue(), "");
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("shows the entries with the connections that they have, again and again", async () => {
    const context = await contextOf();
    const shown = await open(context);
    for (const entry of ["entry-0", "entry-1"]) await badgeOf(shown, entry, "serving").waitFor();
    const names = async (): Promise<string[]> => await shown.locator("tbody td:first-child").allTextContents();
    const { entries } = (await call({ method: "GET", path: "/v1/fleet" })).body as { entries: { name: string }[] };
    assert.deepEqual(
      await names(),
      entries.map(({ name }) => name),
    );
    assert.deepEqual(new Set(await names()), new Set(["entry-0", "entry-1"]));
    const carol = await login(fleet(), "carol", targetOf(fleet(), "tls", 1));
    await waitUntil(
      "the entry has reported it",
      async () => {
        const { total } = (await call({ method: "GET", path: "/v1/fleet" })).body as { total: { sessions: number } };
        return total.sessions === 3;
      },
      BOUND_MS,
    );
    // Nobody touches the page.
    await shown.clock.fastForward(INTERVAL_MS);
    await facts(shown, "Sessions").getByText("3", { exact: true }).waitFor();
    await carol.client.close();
    await shown.route("**/v1/fleet*", (route) => route.abort());
    await button(shown, "Refresh").click();
    await shown.getByRole("alert").getByText("The server does not answer").waitFor();
    assert.equal((await names()).length, 2, "what was known stays");
    await shown.unroute("**/v1/fleet*");
    await button(shown, "Refresh").click();
    await shown.getByRole("alert").waitFor({ state: "detached" });
    // What the test did to it is said as an error.
    assert.deepEqual(
      problems.filter((line) => !line.includes("net::ERR_FAILED")),
      [],
    );
    await context.close();
  });

  it("shows a user's devices and where they are, whatever they call themselves", async () => {
    const context = await contextOf();
    const page = await open(context, "#/user/bob");
    const device = row(page, "bob-device");
    await device.waitFor();
    assert.ok((await device.textContent())?.includes(`${HOSTILE} (bob-device)`), "as it was written");
    for (const cell of ["entry-1", "mobile", "online"]) await device.locator("td", { hasText: cell }).first().waitFor();
    await isSafe(page);
    await page.locator("#user-id").fill(HOSTILE.slice(0, 60));
    await button(page, "Show").click();
    await page.getByRole("alert").getByText("invalid").waitFor();
    await page.locator("#user-id").fill("nobody");
    await page.locator("#user-id").press("Enter");
    await page.getByText("No device of nobody has ever logged in").waitFor();
    await isSafe(page);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("tells the story of a message", async () => {
    const context = await contextOf();
    const page = await open(context, "#/message");
    await page.getByLabel("User id").fill("alice");
    await page.getByLabel("Message id").fill(messageId);
    await button(page, "Show").click();
    await badgeOf(page, "bob", "acknowledged by a device").waitFor();
    await facts(page, "Content").getByText("5 bytes").waitFor();
    await row(page, "bob").getByRole("link", { name: "bob" }).click();
    await page.locator("h2", { hasText: "bob" }).waitFor();
    assert.equal(new URL(page.url()).hash, "#/user/bob");
    await page.goBack();
    await badgeOf(page, "bob", "acknowledged").waitFor();
    await page.getByLabel("Message id").fill("no-such-message");
    await button(page, "Show").click();
    await page.getByRole("alert").getByText("There is nothing of that name").waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("shows broadcasts and dead letters, and lets a key that only reads change nothing", async () => {
    const context = await contextOf();
    const page = await open(context, "#/broadcasts");
    await badgeOf(page, broadcastId, "active").waitFor();
    await button(page, "Content").click();
    await page.locator("pre", { hasText: HOSTILE }).waitFor();
    const refused = async (scope: string): Promise<void> => {
      await page.getByRole("dialog").getByRole("button", { name: "Do it" }).click();
      await page.getByRole("alert").getByText("This key may not do that").waitFor();
      await page.getByRole("alert").getByText(`this call needs the scope ${scope}`).waitFor();
    };
    await button(page, "Retract").click();
    await refused("broadcasts:manage");
    await page.getByRole("link", { name: "Dead letters" }).click();
    await facts(page, "Given up").getByText("2", { exact: true }).waitFor();
    await row(page, "carol").getByText(HOSTILE).waitFor();
    await button(page, "Push all again").click();
    await refused("dead-letters:replay");
    await page.goto(`${origin}/admin/#/user/bob`);
    await page.getByRole("button", { name: "Close sessions: mobile" }).click();
    await refused("users:manage");
    await isSafe(page);
    const { body } = await call({ method: "GET", path: `/v1/broadcasts/${broadcastId}` });
    assert.equal(body.state, "active");
    assert.equal((await call({ method: "GET", path: "/v1/dead-letters" })).body.letters, 2);
    assert.equal(bob.client.state.kind, "open");
    const bare = await createApiKey(fleet().postgresUrl, ["users:read"]);
    const other = await open(context, "#/letters", bare);
    await other.getByRole("alert").getByText("this call needs the scope dead-letters:read").waitFor();
    assert.deepEqual(problems, []);
    await context.close();
  });

  for (const look of [
    { locale: "en-GB", colorScheme: "light", viewport: PHONE, heading: "Fleet" },
    { locale: "zh-CN", colorScheme: "dark", viewport: PHONE, heading: "集群" },
    { locale: "zh-CN", colorScheme: "light", viewport: { width: 1280, height: 800 }, heading: "集群" },
  ])
    it(`fits ${look.viewport.width} px, can be read and named: ${look.locale}, ${look.colorScheme}`, async () => {
      const context = await contextOf(look);
      const page = await visit(context);
      const check = async (where: string): Promise<void> => {
        const width = Number(await page.evaluate("document.documentElement.scrollWidth"));
        assert.ok(width <= look.viewport.width, `${where} is ${width} px wide`);
        assert.deepEqual(await page.evaluate(lowContrasts), [], where);
        assert.deepEqual(await page.evaluate(unnamedControls), [], where);
        assert.equal(await page.locator("h1").count(), 1, where);
      };
      await check("key");
      await page.locator("#key").fill(actKey);
      await page.locator("#key").press("Enter");
      assert.equal(await page.locator("h1").textContent(), look.heading);
      for (const view of VIEWS) {
        await page.evaluate(`location.hash = "#/${view.replace("MESSAGE", messageId)}"`);
        await page.locator(`nav a[aria-current][href="#/${view.split("/", 1)[0]}"]`).waitFor();
        await page.locator(".loading").first().waitFor({ state: "detached" });
        await page.locator("table, .empty").first().waitFor();
        await check(view);
      }
      assert.equal(await page.locator("html").getAttribute("lang"), look.locale.startsWith("zh") ? "zh-CN" : "en");
      assert.deepEqual(problems, []);
      await context.close();
    });

  it("changes its language, and remembers it", async () => {
    const context = await contextOf();
    const page = await open(context, "#/broadcasts");
    await badgeOf(page, broadcastId, "active").waitFor();
    await button(page, "中文").click();
    await badgeOf(page, broadcastId, "生效中").waitFor();
    assert.equal(await page.evaluate("document.activeElement.textContent"), "English");
    await page.reload();
    await page.getByLabel("API 密钥（imk_...）").waitFor();
    await context.close();
  });

  it("runs nothing that would come in by text, and asks no other host", async () => {
    const context = await contextOf();
    const page = await open(context);
    await badgeOf(page, "entry-0", "serving").waitFor();
    const tries = [
      "document.body.innerHTML = '<img src=x>'",
      "document.body.append(Object.assign(document.createElement('script'), { text: 'window.hit = 1' }))",
    ];
    for (const text of tries)
      assert.equal(
        await page.evaluate(`(() => { try { ${text}; return "done"; } catch { return "refused"; } })()`),
        "refused",
        text,
      );
    const elsewhere = `fetch("http://127.0.0.1:${fleet().entry(0).adminPort}/livez").then(() => "done", () => "refused")`;
    assert.equal(await page.evaluate(elsewhere), "refused");
    assert.equal(await page.evaluate("window.hit"), undefined);
    await context.close();
  });

  it("does what a key may do, by keyboard, once it was confirmed; it is in the audit log", async () => {
    const context = await contextOf();
    const page = await open(context, "#/user/bob", actKey);
    const kick = page.getByRole("button", { name: "Close sessions: mobile" });
    const dialog = page.getByRole("dialog");
    await kick.focus();
    await page.keyboard.press("Enter");
    await dialog.waitFor();
    assert.equal(await page.evaluate("document.activeElement.textContent"), "Cancel", "what is safe has the focus");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.equal(await page.evaluate("document.activeElement.getAttribute('aria-label')"), "Close sessions: mobile");
    assert.equal(bob.client.state.kind, "open");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("status").getByText("Sessions told to leave: 1").waitFor();
    await waitUntil("bob is closed", () => bob.client.state.kind === "closed", BOUND_MS);
    await waitUntil(
      "bob is known to be offline",
      async () => (await call({ method: "GET", path: "/v1/users/bob/devices" })).body.online === false,
      BOUND_MS,
    );
    await button(page, "Show").click();
    await badgeOf(page, "bob-device", "offline").waitFor();
    assert.equal(await kick.count(), 0);

    await page.getByRole("link", { name: "Broadcasts" }).click();
    await button(page, "Retract").click();
    await button(page, "Do it").click();
    await page.getByRole("status").getByText(`${broadcastId} is retracted`).waitFor();
    await badgeOf(page, broadcastId, "retracted").waitFor();
    assert.equal(await button(page, "Retract").count(), 0);
    assert.equal((await call({ method: "GET", path: `/v1/broadcasts/${broadcastId}` })).body.state, "retracted");

    await page.getByRole("link", { name: "Dead letters" }).click();
    await button(page, "Push all again").click();
    await button(page, "Do it").click();
    await page.getByRole("status").getByText("Queued again: 2").waitFor();
    await page.getByText("No push was given up").waitFor();

    const { entries } = (await call({ method: "GET", path: "/v1/audit" })).body as {
      entries: { operation: string; keyId: string; target: string; status: number }[];
    };
    const done = entries.filter(({ operation }) => /^(kick|retract|replay)/.test(operation));
    const [ours, theirs] = [actKey.split("_")[1] ?? "", readKey.split("_")[1] ?? ""];
    const told = (keyId: string, statuses: number) =>
      done
        .filter((entry) => entry.keyId === keyId && entry.status === statuses)
        .map(({ operation }) => operation)
        .sort();
    const all = ["kickUser", "replayDeadLetters", "retractBroadcast"];
    assert.deepEqual([told(ours, 200).length + told(ours, 204).length, told(theirs, 403)], [3, all]);
    assert.deepEqual(problems, []);
    await context.close();
  });

  it("shows drains as they go on", async () => {
    const context = await contextOf();
    const page = await open(context, "#/drains");
    await page.getByText("No entry is drained or cordoned").waitFor();
    const controlOf = (index: number) => {
      const { controlPort, podUid } = fleet().entry(index);
      const pod = { metadata: { name: "e", uid: podUid }, spec: { containers: [] }, status: { podIP: "127.0.0.1" } };
      const client = new FleetClient({
        ...{ clock: systemClock, log: silentLogger, ports: { entry: controlPort, logic: 0 } },
      });
      return { client, pod, who: { clusterUid: "test", tls: undefined } };
    };
    const [first, second] = [controlOf(0), controlOf(1)];
    try {
      const order = {
        drainId: "d-1",
        windowMs: DRAIN_MS,
        deadlineMs: DRAIN_MS,
        hold: true,
        force: false,
        endpoints: [],
        lease: null,
      };
      await first.client.drain(first.who, first.pod, order);
      await second.client.cordon(second.who, second.pod, "c-1");
      const again = async (name: string, state: string): Promise<void> =>
        await waitUntil(
          `${name} is shown as ${state}`,
          async () => {
            await button(page, "Refresh").click();
            return (await badgeOf(page, name, state).count()) === 1;
          },
          BOUND_MS,
        );
      await again("entry-0", "draining");
      await again("entry-1", "cordoned");
      await row(page, "entry-0").getByText("of 1").waitFor();
      assert.equal(await row(page, "entry-0").locator("progress").getAttribute("max"), "1");
      assert.equal(await row(page, "entry-1").locator("progress").count(), 0);
    } finally {
      first.client.close();
      second.client.close();
    }
    assert.deepEqual(problems, []);
    await context.close();
  });
});
