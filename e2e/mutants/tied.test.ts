// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { runTied } from "./tied.ts";

const LIMIT_MS = 60_000;
/** Connects, says who it is, and then `then`. */
const loner = (port: number, name: string, then: string): string[] => [
  process.execPath,
  "-e",
  `const { spawn } = require("node:child_process");
   const socket = require("node:net").connect(${port}, "127.0.0.1", () => socket.write(${JSON.stringify(name)}, () => { ${then} }));`,
];
const LOOP = "for (;;);";

describe("a command that is tied to its caller", () => {
  let server: Server;
  const sockets = new Map<string, Socket>();
  const waiters = new Set<() => void>();
  const port = (): number => (server.address() as AddressInfo).port;

  before(async () => {
    server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (name) => {
        sockets.set(String(name), socket);
        for (const wake of waiters) wake();
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => server.close());

  /** The connection of a process, once it is there. */
  async function up(name: string): Promise<Socket> {
    for (;;) {
      const socket = sockets.get(name);
      if (socket) return socket;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiters.delete(wake);
          resolve();
        };
        waiters.add(wake);
      });
    }
  }

  /** Resolves when the process is dead. */
  async function gone(name: string): Promise<void> {
    const socket = await up(name);
    if (!socket.destroyed) await once(socket, "close");
  }

  /** Starts a process that turns in a loop, and is another one by itself. */
  const family = (names: [string, string]): string[] => {
    const child = JSON.stringify(loner(port(), names[1], LOOP));
    return loner(
      port(),
      names[0],
      `const [file, ...args] = ${child}; spawn(file, args, { stdio: "inherit" }).once("spawn", () => { ${LOOP} });`,
    );
  };

  it("answers with what it printed and its code", async () => {
    const script = 'console.log("out"); console.error("err"); process.exitCode = 3;';
    const { code, output } = await runTied([process.execPath, "-e", script], { timeoutMs: LIMIT_MS });
    assert.equal(code, 3);
    assert.deepEqual(output.trim().split("\n").sort(), ["err", "out"]);
  });

  it("says so when there is no such command", async () => {
    const { code, output } = await runTied(["/no/such/command"], { timeoutMs: LIMIT_MS });
    assert.ok(code > 0 && code !== 124, String(code));
    assert.match(output, /no\/such\/command/);
  });

  it("dies with all that it started when its caller is killed, though they turn in a loop", async () => {
    const module = fileURLToPath(new URL("tied.ts", import.meta.url));
    const command = JSON.stringify(family(["child", "grandchild"]));
    const script = `import(${JSON.stringify(module)}).then(({ runTied }) => runTied(${command}, { timeoutMs: ${LIMIT_MS} }));`;
    const caller = spawn(process.execPath, ["-e", script], { stdio: "ignore" });
    await Promise.all([up("child"), up("grandchild")]);
    caller.kill("SIGKILL");
    await Promise.all([gone("child"), gone("grandchild")]);
  });

  it("dies with all that it started when its time is over, or it is to end", async () => {
    const late = runTied(family(["late", "late child"]), { timeoutMs: 1500 });
    const end = new AbortController();
    const ended = runTied(family(["ended", "ended child"]), { timeoutMs: LIMIT_MS, signal: end.signal });
    await Promise.all([up("ended"), up("ended child")]);
    end.abort();
    assert.equal((await ended).code, 1);
    assert.equal((await late).code, 124);
    await Promise.all([gone("ended"), gone("ended child")]);
  });

  it("leaves nothing behind when it ends by itself", async () => {
    const child = JSON.stringify(loner(port(), "left", LOOP));
    const then = `const [file, ...args] = ${child}; spawn(file, args, { stdio: "inherit" }); socket.once("data", () => process.exit(0));`;
    const run = runTied(loner(port(), "leader", then), { timeoutMs: LIMIT_MS });
    const [leader] = await Promise.all([up("leader"), up("left")]);
    leader.write("enough");
    assert.equal((await run).code, 0);
    await gone("left");
  });
});
