// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import { ErrorCode } from "./codes.ts";
import { ImClientError } from "./errors.ts";
import { MemoryStore, type Store } from "./store.ts";
import { browserTransport } from "./transport/choose.ts";
import type { FetchLike } from "./transport/http.ts";
import type { Transport } from "./transport/transport.ts";
import type { WebSocketFactory } from "./transport/ws.ts";

/** Decides which sessions of one user replace each other: one per class (phones share one). */
export type Platform = "ios" | "android" | "web" | "desktop" | "mini";

/** How a device is connected; a server may choose its intervals by it. */
export type Network = "wifi" | "cellular" | "wired";

/** Durations and limits; every one has a default that suits phones and servers alike. */
export interface Timing {
  /** First reconnect comes within this time. Default 500. */
  backoffBaseMs: number;
  /** No pause is longer. Default 20,000. */
  backoffCapMs: number;
  /** A connection that lasted this long makes the backoff start anew. Default 30,000. */
  stableMs: number;
  /** Bound of dialling and logging in together. Default 10,000. */
  loginTimeoutMs: number;
  /** Bound of one call of `getToken`. Default 15,000. */
  tokenTimeoutMs: number;
  /** Silence after a PING that counts as a dead connection. Default 10,000. */
  pongTimeoutMs: number;
  /** A SEND without an answer is written again after this time, with the same id. Default 10,000. */
  ackTimeoutMs: number;
  /** A hole in the inbox is pulled when it lasts this long. Default 500. */
  gapWaitMs: number;
  /** Bound of one pull. Default 10,000. */
  syncTimeoutMs: number;
  /** Received messages are acknowledged at most this late. Default 200. */
  ackDelayMs: number;
}

/** Options of the client. */
export interface ImClientOptions {
  /**
   * `wss://host/ws` or `ws://` everywhere; `https://host` for HTTP only; `tls://host` or `tcp://host:port` with the entry
   * point for Node.
   */
  url: string;
  /**
   * Fetches an access token from your backend. Called before the first login, shortly before the token runs out, and when
   * the server says that it did; not for every reconnect.
   */
  getToken(): string | Promise<string>;
  /** 1-64 characters, stable for an installation. Two clients with one device id replace each other. */
  deviceId: string;
  /** Default: `web` in a browser, else `desktop`. */
  platform?: Platform;
  /** Shown to the person whose session this one replaces. */
  deviceName?: string;
  /** Of your application, for the server's figures. */
  appVersion?: string;
  /** Default: WebSocket, and HTTP (events, then long poll) where that does not get through. */
  transport?: Transport;
  /** How this device is connected now; undefined = not known. Default: what the browser says, if it does. */
  network?: () => Network | undefined;
  /** Opens the WebSocket, for headers or an own certificate authority in Node. */
  webSocket?: WebSocketFactory;
  /** Default: the global one. */
  fetch?: FetchLike;
  /** Where the cursor is kept. Default: memory. */
  store?: Store;
  /** Messages that may wait for their acknowledgement. Default 1,000. */
  outboxLimit?: number;
  /** SENDs in flight. Default 64. */
  window?: number;
  /** SENDs in flight in one conversation. Default 1, which keeps their order whatever fails. */
  conversationWindow?: number;
  /**
   * After a long absence take the conversations by their last messages (event `snapshot`) in place of every message,
   * and read the rest with `history()`. Default false: every message is shown.
   */
  snapshot?: boolean;
  /** Messages a `for await` loop may lag behind before the client stops taking more. Default 1,000. */
  streamLimit?: number;
  /** What is left out has its default. */
  timing?: Partial<Timing>;
  /** For tests. */
  clock?: Clock;
  /** Uniform in [0, 1); for tests. Ids of messages do not come from it. */
  random?: () => number;
}

/** {@link ImClientOptions} with every default filled in. */
export interface Settings extends Omit<Required<ImClientOptions>, "timing" | "webSocket" | "fetch"> {
  readonly timing: Readonly<Timing>;
}

/** What `timing` leaves out. */
export const DEFAULT_TIMING: Readonly<Timing> = {
  backoffBaseMs: 500,
  backoffCapMs: 20_000,
  stableMs: 30_000,
  loginTimeoutMs: 10_000,
  tokenTimeoutMs: 15_000,
  pongTimeoutMs: 10_000,
  ackTimeoutMs: 10_000,
  gapWaitMs: 500,
  syncTimeoutMs: 10_000,
  ackDelayMs: 200,
};

/** @throws ImClientError BAD_REQUEST naming the option and the remedy. */
export function settingsOf(options: ImClientOptions): Settings {
  if (!URL.canParse(options.url)) throw bad(`url "${options.url}" is no URL: write wss://host/ws or tls://host`);
  if (options.deviceId.length < 1 || options.deviceId.length > 64) throw bad("deviceId must have 1 to 64 characters");
  return {
    url: options.url,
    getToken: () => options.getToken(),
    deviceId: options.deviceId,
    platform: options.platform ?? ("document" in globalThis ? "web" : "desktop"),
    deviceName: options.deviceName ?? "",
    appVersion: options.appVersion ?? "",
    transport: options.transport ?? browserTransport(options),
    network: options.network ?? browserNetwork,
    store: options.store ?? new MemoryStore(),
    outboxLimit: atLeastOne(options.outboxLimit ?? 1_000, "outboxLimit"),
    window: atLeastOne(options.window ?? 64, "window"),
    conversationWindow: atLeastOne(options.conversationWindow ?? 1, "conversationWindow"),
    snapshot: options.snapshot ?? false,
    streamLimit: atLeastOne(options.streamLimit ?? 1_000, "streamLimit"),
    timing: timingOf(options.timing),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}

/** A duration that is no number would make a timer fire at once, and the client dial without pause. */
function timingOf(given: Partial<Timing> = {}): Timing {
  const timing = { ...DEFAULT_TIMING };
  for (const [name, value] of Object.entries(given) as [keyof Timing, number | undefined][]) {
    if (value === undefined) continue;
    if (!(value >= 0)) throw bad(`timing.${name} must be a number of ms, not ${value}`);
    timing[name] = value;
  }
  return timing;
}

/** Only some browsers tell. */
function browserNetwork(): Network | undefined {
  const { navigator } = globalThis as { navigator?: { connection?: { type?: string } } };
  const type = navigator?.connection?.type;
  if (type === "wifi" || type === "cellular") return type;
  return type === "ethernet" ? "wired" : undefined;
}

function atLeastOne(value: number, name: string): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw bad(`${name} must be an integer of at least 1, not ${value}`);
}

function bad(message: string): ImClientError {
  return new ImClientError(ErrorCode.BAD_REQUEST, message);
}
