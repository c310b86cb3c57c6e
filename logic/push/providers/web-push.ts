// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import type { Clock } from "#lib/clock.ts";
import { type PushProvider, type PushRequest, type PushResult, referencesOf } from "../provider.ts";
import { callHttp, failure, parseObject } from "./http-call.ts";
import { readPrivateKey } from "./private-key.ts";
import { encryptPush, type SubscriptionKeys } from "./web-push-encrypt.ts";

/** RFC 8292 allows a day. */
const TOKEN_LIFETIME_MS = 12 * 3_600_000;
const RENEW_BEFORE_MS = 3_600_000;
const MAX_ORIGINS = 64;

/** Push services of the browsers. */
export const PUSH_SERVICES = [
  "https://fcm.googleapis.com",
  "https://updates.push.services.mozilla.com",
  "https://*.push.services.mozilla.com",
  "https://*.notify.windows.com",
  "https://*.push.apple.com",
] as const;

/** Options of {@link WebPushProvider}. */
export interface WebPushOptions {
  /** P-256 private key in PEM; its public half is the application server key of the subscriptions. */
  privateKey: string;
  /** mailto: or https: contact of the operator (claim sub). */
  subject: string;
  /**
   * Origins that may be called, `https://*.example.com` for all hosts below. Subscriptions come from clients: without
   * such a list anybody could have us call any address of the internal network.
   */
  services: readonly string[];
  clock: Clock;
  /** Default 5,000. */
  timeoutMs?: number;
}

interface Subscription extends SubscriptionKeys {
  endpoint: URL;
}

/** Web Push: RFC 8030 requests, VAPID (RFC 8292) and encryption for the browser (RFC 8291). */
export class WebPushProvider implements PushProvider {
  readonly name = "web-push";
  readonly #options: WebPushOptions;
  readonly #key: KeyObject;
  /** Application server key, base64url of the uncompressed point. */
  readonly publicKey: string;
  /** By origin of the push service. */
  readonly #tokens = new Map<string, { jwt: string; untilMs: number }>();

  /** @throws {ImError} BAD_REQUEST when the key is none */
  constructor(options: WebPushOptions) {
    this.#options = options;
    this.#key = readPrivateKey(options.privateKey, "P-256", "IM_PUSH_WEB_PUSH_KEY");
    const { x = "", y = "" } = createPublicKey(this.#key).export({ format: "jwk" });
    const point = [Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")];
    this.publicKey = Buffer.concat(point).toString("base64url");
  }

  async push(request: PushRequest, signal: AbortSignal): Promise<PushResult> {
    const subscription = readSubscription(request.address);
    if (!subscription) return { kind: "gone", reason: "not a Web Push subscription" };
    const { endpoint } = subscription;
    if (!isAllowed(endpoint, this.#options.services)) return { kind: "gone", reason: "not a known push service" };
    const body = encryptPush(payloadOf(request), subscription);
    if (!body) return { kind: "gone", reason: "the subscription's keys are unusable" };
    const { clock, timeoutMs } = this.#options;
    const answer = await callHttp({
      url: endpoint.href,
      headers: {
        authorization: `vapid t=${await this.#token(endpoint.origin)}, k=${this.publicKey}`,
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
        ttl: String(Math.floor(request.ttlMs / 1000)),
        urgency: request.urgency === "high" ? "high" : "low",
        topic: request.collapseKey,
      },
      body: new Uint8Array(body),
      signal,
      timeoutMs,
      wallMs: () => clock.wallMs(),
    });
    return answer.kind === "failed" ? answer : judge(answer.status, answer.retryAfterMs);
  }

  close(): void {
    // Connections belong to the process.
  }

  async #token(origin: string): Promise<string> {
    const { clock, subject } = this.#options;
    const known = this.#tokens.get(origin);
    if (known && clock.nowMs() < known.untilMs) return known.jwt;
    const jwt = await new SignJWT({})
      .setProtectedHeader({ alg: "ES256", typ: "JWT" })
      .setAudience(origin)
      .setSubject(subject)
      .setExpirationTime(Math.floor((clock.wallMs() + TOKEN_LIFETIME_MS) / 1000))
      .sign(this.#key);
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size >= MAX_ORIGINS && oldest !== undefined) this.#tokens.delete(oldest);
    this.#tokens.set(origin, { jwt, untilMs: clock.nowMs() + TOKEN_LIFETIME_MS - RENEW_BEFORE_MS });
    return jwt;
  }
}

function payloadOf({ notification, badge, urgency }: PushRequest): Buffer {
  return Buffer.from(JSON.stringify({ type: "im", ...referencesOf(notification), badge, urgency }));
}

/** Reads what `JSON.stringify(subscription)` gives in a browser. */
function readSubscription(address: string): Subscription | undefined {
  const { endpoint, keys } = parseObject(address);
  const { p256dh, auth } = (keys ?? {}) as Record<string, unknown>;
  if (typeof endpoint !== "string" || typeof p256dh !== "string" || typeof auth !== "string") return undefined;
  if (!URL.canParse(endpoint)) return undefined;
  return {
    endpoint: new URL(endpoint),
    p256dh: Buffer.from(p256dh, "base64url"),
    auth: Buffer.from(auth, "base64url"),
  };
}

/** Is the endpoint's origin one of `services`? Exact, or below a `*.` host. No credentials in it. */
export function isAllowed(endpoint: URL, services: readonly string[]): boolean {
  if (endpoint.username !== "" || endpoint.password !== "") return false;
  return services.some((service) => {
    const wildcard = service.indexOf("://*.");
    if (wildcard < 0) return endpoint.origin === service;
    const [scheme, suffix] = [service.slice(0, wildcard + 1), service.slice(wildcard + 4)];
    return endpoint.protocol === scheme && endpoint.port === "" && endpoint.hostname.endsWith(suffix);
  });
}

function judge(status: number, retryAfterMs: number | undefined): PushResult {
  if (status >= 200 && status < 300) return { kind: "accepted" };
  const reason = `the push service answered ${status}`;
  if (status === 404 || status === 410) return { kind: "gone", reason };
  if (status === 429) return failure(reason, retryAfterMs ?? 60_000, "address");
  if (status >= 500 || status === 401 || status === 408) return failure(reason, retryAfterMs);
  return { kind: "rejected", reason };
}
