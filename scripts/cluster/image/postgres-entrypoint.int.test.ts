// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { freePort } from "../../../e2e/harness/ports.ts";
import { ensureImages } from "../images.ts";
import { silentProgress } from "../progress.ts";

interface Running {
  child: ChildProcess;
  log: () => string;
}

const root = mkdtempSync(join(tmpdir(), "imc-postgres-"));
const data = "/var/lib/postgresql/data/pgdata";
const PASSWORD = `pass'word"$1`;
const DATABASE = `shop "im"`;
let port = 0;
/** Every start, so that a failing test leaves no server behind. */
const started: Running[] = [];

/** Runs the image's entrypoint as the image would: its files as root, its user, pid 1 of a pid namespace. */
function start(env: Record<string, string> = {}): Running {
  const script = `mount --rbind /dev ${root}/dev && mount -t proc proc ${root}/proc &&
    exec chroot --userspec=999:999 ${root} /bin/sh /usr/local/bin/entrypoint.sh -c port=${port}`;
  const child = spawn("unshare", ["--mount", "--pid", "--fork", "sh", "-c", script], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      PATH: `/usr/local/pgsql/bin:${process.env.PATH}:/usr/local/bin:/bin:/usr/sbin`,
      POSTGRES_USER: "im",
      POSTGRES_PASSWORD: PASSWORD,
      POSTGRES_DB: DATABASE,
      PGDATA: data,
      LC_ALL: "C",
      ...env,
    },
  });
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const running = { child, log: () => text };
  started.push(running);
  return running;
}

async function until(what: string, running: Running, check: () => boolean): Promise<void> {
  for (const deadlineMs = performance.now() + 240_000; !check(); await delay(5)) {
    const isAlive = running.child.exitCode === null && performance.now() < deadlineMs;
    assert.ok(isAlive, `waited in vain until ${what}: ${running.log()}`);
  }
}

/**
 * Kills pid 1 of the namespace, and with it everything inside; unshare then ends. (Killing unshare would not do: the
 * change of user clears the signal that --kill-child asked for.)
 */
async function kill({ child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  for (const pid of children.split(" ")) if (pid !== "") process.kill(Number(pid), "SIGKILL");
  await exited;
}

async function query(sql: string): Promise<unknown[]> {
  const client = new Client({ host: "127.0.0.1", port, user: "im", password: PASSWORD, database: DATABASE });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const isReady = (log: () => string) => (): boolean => log().includes("ready to accept connections");

before(async () => {
  chmodSync(root, 0o755);
  const [image] = await ensureImages(["postgres"], { progress: silentProgress });
  for (const layer of image?.layers ?? []) execFileSync("tar", ["-xpf", layer.path, "-C", root]);
  for (const folder of ["dev", "proc"]) mkdirSync(join(root, folder));
  port = await freePort();
});
after(async () => {
  for (const running of started) await kill(running);
  rmSync(root, { recursive: true, force: true });
});

describe("the PostgreSQL image's entrypoint", { concurrency: 1 }, () => {
  it("refuses to make a database without a password", async () => {
    const { child, log } = start({ POSTGRES_PASSWORD: "" });
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 1);
    assert.match(log(), /set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE/);
  });

  const inside = (path: string): boolean => existsSync(join(root, data, path));
  const moments: [string, (log: () => string) => boolean][] = [
    ["the draft folder is made", () => inside(".initializing")],
    ["initdb bootstraps", (log) => log().includes("running bootstrap script")],
    ["initdb finishes", (log) => log().includes("Success")],
    ["the first files are in place", () => inside("base")],
  ];
  for (const [what, isReached] of moments) {
    it(`survives kill -9 when ${what}`, async () => {
      const running = start();
      await until(what, running, () => isReached(running.log));
      await kill(running);
    });
  }

  it("then starts, with role, password and database, and keeps what was committed through kill -9", async () => {
    const server = start();
    await until("it is ready", server, isReady(server.log));
    await query("create table kept (n int); insert into kept values (42)");
    await kill(server);
    const again = start({ POSTGRES_PASSWORD: "" });
    await until("it is ready again", again, isReady(again.log));
    assert.deepEqual(await query("select n, current_database() as d from kept"), [{ n: 42, d: DATABASE }]);
    assert.ok(!inside(".initializing"));
  });

  it("wants the password from everybody", async () => {
    for (const password of ["wrong", ""]) {
      const client = new Client({ host: "127.0.0.1", port, user: "im", password, database: DATABASE });
      await assert.rejects(client.connect());
    }
  });

  it("leaves a folder alone that holds something else", async () => {
    const foreign = "/var/lib/postgresql/data/foreign";
    mkdirSync(join(root, foreign));
    execFileSync("chown", ["999:999", join(root, foreign)]);
    writeFileSync(join(root, foreign, "thesis.txt"), "only copy");
    const { child, log } = start({ PGDATA: foreign });
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 1);
    assert.match(log(), /not a data folder, left alone/);
    assert.ok(existsSync(join(root, foreign, "thesis.txt")));
  });
});
