// SPDX-License-Identifier: Apache-2.0
import type { Message } from "#client";
import type { WebhookSandbox } from "../sandbox/webhook.ts";
import { isWithin, LOGIN_TIMEOUT_MS, type Login, login } from "./login.ts";
import type { RowFigures } from "./verdict.ts";

const UNKNOWN_COMMAND = 60_000;
const MESSAGES = 20;
/** A push from the store, because the queue lost it, takes some of this. */
const PUSH_TIMEOUT_MS = 45_000;
const SHOWN_TIMEOUT_MS = 20_000;

/** Is a command that no version has answered so, and does the connection stay? */
export async function isUnknownAnswered(how: Login, uid: string): Promise<boolean> {
  const client = await login(how, uid);
  const sessionId = "sessionId" in client.state ? client.state.sessionId : "";
  try {
    await client.request(UNKNOWN_COMMAND, new Uint8Array(), { signal: AbortSignal.timeout(LOGIN_TIMEOUT_MS) });
    return false;
  } catch (error) {
    const isNamed = (error as { code?: unknown }).code === 1;
    return isNamed && client.state.kind === "open" && client.state.sessionId === sessionId;
  } finally {
    await client.close();
  }
}

/** Sends to somebody whose device is away: is each message pushed once, and shown in order when the device is back? */
export async function pushAway(
  writer: Login,
  reader: Login,
  webhook: WebhookSandbox,
  seed: string,
): Promise<NonNullable<RowFigures["away"]>> {
  const [from, to] = [`${seed}-writer`, `${seed}-away`];
  await (await login(reader, to)).close();
  const client = await login(writer, from);
  const sent: string[] = [];
  try {
    for (let at = 0; at < MESSAGES; at++)
      sent.push((await client.send({ to, content: `${at}`, id: `${seed}-${at}` })).messageId);
  } finally {
    await client.close();
  }
  const pushed = (): string[] => webhook.pushes.filter(({ userId }) => userId === to).map((push) => push.messageId);
  await isWithin("all are pushed", () => sent.every((id) => pushed().includes(id)), PUSH_TIMEOUT_MS);
  const shown: Message[] = [];
  const back = await login(reader, to, shown);
  try {
    await isWithin("all are shown", () => shown.length >= sent.length, SHOWN_TIMEOUT_MS);
  } finally {
    await back.close();
  }
  const all = pushed();
  const distinct = new Set(all);
  return {
    sent: sent.length,
    pushed: sent.filter((id) => distinct.has(id)).length,
    twice: all.length - distinct.size,
    shown: shown.filter(({ messageId }, at) => messageId === sent[at]).length,
  };
}
