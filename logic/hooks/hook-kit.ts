// SPDX-License-Identifier: Apache-2.0
// Parts for tests of webhooks.
import { randomUUID } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Metrics } from "#lib/metrics.ts";
import type { HookFact } from "../store/hooks.ts";
import { signature } from "../webhook/signature.ts";
import { createHookMetrics, type HookMetrics } from "./hook-metrics.ts";
import type { Hook } from "./hook-settings.ts";

export const SECRET = "a secret of 20 chars";

export function hookOf(fields: Partial<Hook> = {}): Hook {
  return {
    name: `hook-${randomUUID()}`,
    url: "https://shop.example/im",
    secret: SECRET,
    tenant: "",
    events: new Set(["message.after", "presence", "push.result"] as const),
    content: true,
    contentTypes: new Set<string>(),
    timeoutMs: 1000,
    batchEvents: 50,
    tries: 5,
    verdicts: false,
    ...fields,
  };
}

export function factOf(key: string, body: object = { online: true }): HookFact {
  return { kind: "presence", id: randomUUID(), key, body: JSON.stringify(body) };
}

export function hookMetrics(): HookMetrics {
  return createHookMetrics(new Metrics());
}

/** What a webhook was told, as its backend reads it. */
export interface ToldEvent {
  readonly id: string;
  readonly type: string;
  readonly position: number;
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

export function eventsOf(body: string): ToldEvent[] {
  return (JSON.parse(body) as { events: ToldEvent[] }).events;
}

/** How the backend answers: a status, with a body if any; `hang`: never; `drop`: it closes the connection. */
export type Mood = { status: number; body?: string } | "hang" | "drop";

/** A backend of the shop that checks signatures, and takes what it answers 2xx for. */
export interface FakeBackend {
  readonly url: string;
  /** Asked for each call; default: 204. */
  mood: (events: readonly ToldEvent[]) => Mood;
  /** In the order in which they were taken. */
  readonly taken: ToldEvent[];
  calls: number;
  badSignatures: number;
  close(): Promise<void>;
}

export async function startBackend(secret: string = SECRET): Promise<FakeBackend> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      backend.calls++;
      const sent = String(request.headers["x-im-signature"]);
      const [, time = "0"] = /^t=(\d+),/.exec(sent) ?? [];
      if (signature(secret, Number(time), body) !== sent) backend.badSignatures++;
      answer(response, eventsOf(body));
    });
  });
  const answer = (response: ServerResponse, events: readonly ToldEvent[]): void => {
    const mood = backend.mood(events);
    if (mood === "hang") return;
    if (mood === "drop") {
      response.destroy();
      return;
    }
    if (mood.status < 300) backend.taken.push(...events);
    response.writeHead(mood.status, { "content-type": "application/json" }).end(mood.body ?? "");
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const backend: FakeBackend = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/im`,
    mood: () => ({ status: 204 }),
    taken: [],
    calls: 0,
    badSignatures: 0,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return backend;
}
