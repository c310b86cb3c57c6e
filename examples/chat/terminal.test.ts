// SPDX-License-Identifier: Apache-2.0
// The terminal chat as a process, against a scripted fleet.
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { FakeFleet } from "./testing/fake-fleet.ts";

const TERMINAL = fileURLToPath(new URL("terminal.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "im-terminal-"));
after(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

/** The process and all it printed. */
class Terminal {
  readonly child: ChildProcessWithoutNullStreams;
  output = "";
  readonly exited: Promise<number | null>;
  #onOutput = (): void => undefined;

  constructor(args: string[]) {
    this.child = spawn(process.execPath, [TERMINAL, ...args], { timeout: 30_000 });
    // Not "exit": its last words may come after that.
    this.exited = new Promise((resolve) => this.child.once("close", resolve));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        this.#onOutput();
      });
    }
  }

  /** Resolves when the output matches. Bounded by the life of the process. */
  async shows(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.output)) {
      const data = new Promise<"data">((resolve) => {
        this.#onOutput = () => resolve("data");
      });
      const how = await Promise.race([data, this.exited]);
      if (how !== "data" && !pattern.test(this.output)) assert.fail(`no ${pattern} in:\n${this.output}`);
    }
  }
}

describe("terminal chat", () => {
  const fleets: FakeFleet[] = [];
  after(() => Promise.all(fleets.map((fleet) => fleet.close())));

  /** A fleet and alice's terminal connected to it. */
  async function start(): Promise<{ fleet: FakeFleet; chat: Terminal }> {
    const fleet = new FakeFleet(folder);
    fleets.push(fleet);
    const { tcpUrl } = await fleet.listen();
    const token = file("alice.token", "alice\n");
    return { fleet, chat: new Terminal(["--as", "alice", "--to", "bob", "--url", tcpUrl, "--token-file", token]) };
  }

  it("shows messages, what was stored, reconnects, and ends by /quit", async () => {
    const { fleet, chat } = await start();
    await chat.shows(/connected as alice to demo-entry-1/);
    fleet.say("bob", "alice", "你好 👋🏽");
    await chat.shows(/bob: 你好 👋🏽/);
    chat.child.stdin.write("hello\n");
    await chat.shows(/✓ #\d+ stored, [\d.]+ ms/);
    fleet.drop("alice");
    await chat.shows(/connection lost/);
    await chat.shows(/connected as alice to demo-entry-2/);
    chat.child.stdin.write("again\n/quit\n");
    assert.equal(await chat.exited, 0);
  });

  it("lists conversations, explains itself, and says what is wrong with a command", async () => {
    const { fleet, chat } = await start();
    await chat.shows(/\/help explains/);
    await chat.shows(/connected/);
    fleet.say("bob", "alice", "还在吗？");
    await chat.shows(/bob: 还在吗？ #1/);
    chat.child.stdin.write("/help\n/recall\n/edit #99 x\n");
    await chat.shows(/\/press #N BUTTON/);
    await chat.shows(/\/recall #N\n/);
    await chat.shows(/there is no #99 here/);
    // The list learns of a new conversation a little later.
    const again = setInterval(() => chat.child.stdin.write("/list\n"), 200);
    await chat.shows(/ 1 bob – 还在吗？/).finally(() => clearInterval(again));
    chat.child.stdin.write("/to carol\n/quit\n");
    await chat.shows(/you write to carol/);
    assert.equal(await chat.exited, 0);
  });

  it("ends with 1 when another device takes over, and names it", async () => {
    const { fleet, chat } = await start();
    await chat.shows(/connected/);
    fleet.kick("alice", "iPhone");
    assert.equal(await chat.exited, 1);
    assert.match(chat.output, /signed in elsewhere by iPhone/);
  });

  it("sends what came on a pipe before it leaves", async () => {
    const { chat } = await start();
    chat.child.stdin.end("one\ntwo\n");
    assert.equal(await chat.exited, 0);
    assert.equal(chat.output.match(/✓/g)?.length, 2);
  });

  const good = ["--as", "a", "--to", "b", "--url", "tls://127.0.0.1", "--token-file", file("token", "t")];
  const wrong: [string, string[], RegExp][] = [
    ["nothing", [], /missing: --as, --to, --url, --token-file/],
    ["an unknown option", [...good, "--tokn", "x"], /Unknown option '--tokn'/],
    ["a bad URL", [...good, "--url", "im.example"], /--url im\.example: want tls:/],
    ["an http URL", [...good, "--url", "https://im.example"], /want tls:/],
    ["a missing token file", [...good, "--token-file", join(folder, "none")], /--token-file .*none: ENOENT/],
    ["an empty token file", [...good, "--token-file", file("empty", " \n")], /the file is empty/],
    ["a missing CA", [...good, "--ca", join(folder, "none.crt")], /--ca .*ENOENT/],
  ];
  for (const [what, args, expected] of wrong) {
    it(`refuses ${what} with 2 and says why`, async () => {
      const chat = new Terminal(args);
      assert.equal(await chat.exited, 2);
      assert.match(chat.output, expected);
      assert.match(chat.output, /--help/);
    });
  }

  it("--help explains", async () => {
    const chat = new Terminal(["--help"]);
    assert.equal(await chat.exited, 0);
    assert.match(chat.output, /--servername NAME/);
  });
});
