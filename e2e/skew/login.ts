// SPDX-License-Identifier: Apache-2.0
import type { ImClient, Message } from "#client";
import { waitUntil } from "../harness/processes.ts";
import { OUR_SDK } from "../workload/sdk.ts";
import { type ClientTarget, firstUrl, targetTransport } from "../workload/sdk-transport.ts";

/** A login from anywhere takes its time on a loaded machine. */
export const LOGIN_TIMEOUT_MS = 60_000;

/** Who logs in, where, and with which tokens. */
export interface Login {
  target: ClientTarget;
  getToken(uid: string): Promise<string>;
}

/** A client of the target's SDK, logged in. */
export async function login({ target, getToken }: Login, uid: string, messages: Message[] = []): Promise<ImClient> {
  const { ImClient } = target.sdk ?? OUR_SDK;
  const client = new ImClient({
    ...{ url: firstUrl(target), transport: targetTransport(target), getToken: () => getToken(uid) },
    ...{ deviceId: `${uid}-phone`, platform: "android" },
  });
  client.on("message", (message) => messages.push(message));
  client.connect();
  await client.ready({ signal: AbortSignal.timeout(LOGIN_TIMEOUT_MS) });
  return client;
}

/** Waits for it, and goes on in any case: what is missing then is counted by the caller. */
export async function isWithin(what: string, condition: () => boolean, timeoutMs: number): Promise<void> {
  await waitUntil(what, condition, timeoutMs).catch(() => undefined);
}
