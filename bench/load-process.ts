// SPDX-License-Identifier: Apache-2.0
// The load generator: a process of its own, told what to do by one JSON argument, answering in JSON lines.
// Prints {"ready":true}, then for each SIGUSR2 runs the next phase and prints {"end":name,"figures":{...}}.
import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { tokenAuthorityFrom } from "../e2e/harness/tokens.ts";
import type { LoadClient, LoadListener } from "./load-client.ts";
import { LoadRun, type PhaseFigures } from "./load-run.ts";
import { LoadUser, startReceipts } from "./load-user.ts";
import { SocketIoUser } from "./peers/socketio-user.ts";

/** What the generator is told. */
export interface LoadOrder {
  protocol: "imcluster" | "socketio";
  port: number;
  /** File with the PEM; absent: plain TCP. */
  caFile?: string;
  servername: string;
  keyFile: string;
  audience: string;
  users: number;
  contentBytes: number;
  phases: LoadPhase[];
}

export type LoadPhase =
  | { name: string; loop: "closed"; seconds: number; window: number }
  | { name: string; loop: "open"; seconds: number; rate: number };

/** Lines that it prints. */
export type LoadLine = { ready: true; connectSeconds: number } | { end: string; figures: PhaseFigures };

const LOGIN_CONCURRENCY = 32;
/** The last receipts are written within 200 ms and stored within a second more. */
const LAST_RECEIPTS_MS = 2000;

function print(line: LoadLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Delegates to the run, which exists only once all users do. */
function createUsers(order: LoadOrder): { users: LoadClient[]; listener: { target: LoadListener | undefined } } {
  const listener: { target: LoadListener | undefined } = { target: undefined };
  const relay: LoadListener = {
    acked: (user, rid) => listener.target?.acked(user, rid),
    delivered: (content) => listener.target?.delivered(content),
    refused: (user, rid, retryAfterMs) => listener.target?.refused(user, rid, retryAfterMs),
    broken: (user, why) => listener.target?.broken(user, why),
  };
  const User = order.protocol === "imcluster" ? LoadUser : SocketIoUser;
  const users = Array.from({ length: order.users }, (_, i) => new User(`load${i}`, relay));
  return { users, listener };
}

async function loginAll(users: readonly LoadClient[], order: LoadOrder): Promise<void> {
  const authority = await tokenAuthorityFrom(JSON.parse(readFileSync(order.keyFile, "utf8")) as JWK, {
    audience: order.audience,
  });
  const ca = order.caFile === undefined ? undefined : readFileSync(order.caFile, "utf8");
  const left = [...users];
  const worker = async (): Promise<void> => {
    for (let user = left.pop(); user; user = left.pop())
      await user.login({ port: order.port, ca, servername: order.servername }, await authority.mint(user.id));
  };
  await Promise.all(Array.from({ length: LOGIN_CONCURRENCY }, worker));
}

/** Phases asked for and not begun. */
let requests = 0;
let wake = (): void => undefined;
process.on("SIGUSR2", () => {
  requests++;
  wake();
});

async function asked(): Promise<void> {
  if (requests === 0) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  requests--;
}

async function main(order: LoadOrder): Promise<void> {
  const startedMs = performance.now();
  const { users, listener } = createUsers(order);
  const run = new LoadRun(users, order.contentBytes);
  listener.target = run;
  await loginAll(users, order);
  const stopReceipts = startReceipts();
  print({ ready: true, connectSeconds: Math.round(performance.now() - startedMs) / 1000 });
  for (const phase of order.phases) {
    await asked();
    const figures =
      phase.loop === "closed"
        ? await run.closedLoop(phase.seconds, phase.window)
        : await run.openLoop(phase.seconds, phase.rate);
    print({ end: phase.name, figures });
  }
  await new Promise((resolve) => setTimeout(resolve, LAST_RECEIPTS_MS));
  stopReceipts();
  for (const user of users) user.close();
}

await main(JSON.parse(process.argv[2] ?? "") as LoadOrder);
