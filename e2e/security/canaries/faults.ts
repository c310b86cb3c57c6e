// SPDX-License-Identifier: Apache-2.0
// Faults of stores and processes at a time when they hold what is private.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { Command } from "#proto/commands.ts";
import { Send } from "#proto/gen/messages.ts";
import { waitUntil } from "../../harness/processes.ts";
import { ServiceProcess } from "../../harness/service-process.ts";
import { RawConnection } from "../../process/raw-connection.ts";
import type { CanaryFleet } from "./secrets.ts";

const WAIT_MS = 60_000;

/** The database refuses rows, and names in its errors what is in them. */
export async function refuseRows({ set, fleet }: CanaryFleet): Promise<void> {
  const db = new pg.Client({ connectionString: fleet.postgresUrl });
  await db.connect();
  try {
    for (const table of ["message", "device"])
      await db.query(`ALTER TABLE ${table} ADD CONSTRAINT planted CHECK (false) NOT VALID`);
    const token = await fleet.tokens.mint("raw-user");
    const login = await RawConnection.open(fleet, "tls");
    login.hello(token, 1, { deviceId: "device", deviceName: set.word("device name") });
    await login.settled();
    login.destroy();
    await db.query("ALTER TABLE device DROP CONSTRAINT planted");
    const connection = await RawConnection.open(fleet, "tls");
    connection.hello(token);
    await connection.frame(Command.WELCOME);
    for (let rid = 2; rid < 6; rid++) {
      const content = Buffer.from(set.word("message body"));
      connection.send(Command.SEND, rid, Send.encode({ to: "bob", clientMessageId: `refused-${rid}`, content }));
      await connection.error(rid);
    }
    connection.destroy();
  } finally {
    await db.query("ALTER TABLE device DROP CONSTRAINT IF EXISTS planted");
    await db.query("ALTER TABLE message DROP CONSTRAINT IF EXISTS planted");
    await db.end();
  }
}

/** Redis takes the password no more, and then it does again. */
export async function refusePassword({ redis, redisPassword, fleet }: CanaryFleet): Promise<void> {
  await redis.command("ACL SETUSER im resetpass >another");
  await redis.command("CLIENT KILL USER im");
  const logs = [...fleet.logics, ...fleet.extlogics].map(({ logPath }) => logPath);
  const isTold = () => logs.every((path) => readFileSync(path, "utf8").includes("WRONGPASS"));
  await waitUntil("the wrong password is told of", isTold, WAIT_MS);
  await redis.command(`ACL SETUSER im >${redisPassword}`);
}

/** Files with keys hold something else; what is wrong with them is said without quoting them. */
export async function spoilFiles({ set, fleet, dir }: CanaryFleet): Promise<void> {
  const files = [
    join(dir, "hooks.json"),
    join(dir, "api-keys.json"),
    join(dir, "card-keys"),
    join(fleet.dir, "jwks.json"),
  ];
  const good = files.map((path) => readFileSync(path));
  // Short ones are quoted whole by parsers.
  for (const path of files) writeFileSync(path, set.hex("content of a spoiled file", 8));
  const log = () => fleet.logics.map(({ logPath }) => readFileSync(logPath, "utf8")).join("");
  for (const what of ["IM_HOOKS_FILE", "IM_API_KEYS_FILE", "card keys", "the JWKS file"])
    await waitUntil(`${what} is told of`, () => log().includes(what), WAIT_MS);
  for (const [index, path] of files.entries()) writeFileSync(path, good[index] ?? "");
}

/** Processes whose configuration is wrong, secrets in it; resolves with what they wrote. */
export async function startWrong({ set, dir }: CanaryFleet): Promise<string[]> {
  const word = () => set.word("secret of a wrong configuration");
  const url = { IM_POSTGRES_URL: "postgres://im:x@127.0.0.1:1/im", IM_REDIS_URL: "redis://127.0.0.1:1" };
  const wrong: [script: string, env: Record<string, string>][] = [
    ["logic/logic.ts", { ...url, IM_POSTGRES_URL: `postgres://im:${word()}@127.0.0.1:port/im` }],
    ["logic/logic.ts", { ...url, IM_REDIS_URL: `redis://im:${word()}@127.0.0.1:port` }],
    ["logic/logic.ts", { ...url, IM_REDIS_URL: `http://im:${word()}@127.0.0.1`, IM_CARD_ACTION_SECRET: word() }],
    [
      "logic/extlogic.ts",
      { ...url, IM_PUSH_FCM_SERVICE_ACCOUNT: `{"private_key":"${word()}"`, IM_PUSH_APNS_KEY: word() },
    ],
    ["logic/extlogic.ts", { ...url, IM_PUSH_POLICY: "{}}", IM_PUSH_SMS_SECRET: word() }],
    ["gateway/main.ts", { IM_LOGIC_TARGETS: "127.0.0.1:1", IM_TLS_DIR: join(dir, "none"), IM_SECRET: word() }],
  ];
  return await Promise.all(
    wrong.map(async ([script, env], index) => {
      const name = `wrong-${index}`;
      const logPath = join(dir, `${name}.log`);
      const process = new ServiceProcess({ name, script, env: { IM_ADMIN_PORT: "0", ...env }, adminPort: 0, logPath });
      await process.start();
      const { code } = await process.waitExit(WAIT_MS);
      if (code !== 1) throw new Error(`${name} ended with ${code}: ${process.logTail()}`);
      return readFileSync(logPath, "utf8");
    }),
  );
}

/** Every process dies of a fault that nobody catches, with secrets in its fields. */
export async function crash({ set, fleet, dir }: CanaryFleet): Promise<void> {
  for (const [index, process] of fleet.processes.entries()) {
    const secrets = { field: set.word("field of a fault"), cause: set.word("field of a fault") };
    writeFileSync(join(dir, "crash.json"), JSON.stringify({ ...secrets, isRejected: index % 2 === 1 }));
    process.signal("SIGUSR2");
    const { code } = await process.waitExit(WAIT_MS);
    if (code === 0 || code === null) throw new Error(`${process.name} did not crash: ${process.logTail()}`);
  }
}
