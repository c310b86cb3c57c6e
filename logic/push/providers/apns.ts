// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from "node:crypto";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { SignJWT } from "jose";
import type { Clock } from "#lib/clock.ts";
import { type PushFailure, type PushProvider, type PushRequest, type PushResult, referencesOf } from "../provider.ts";
import { CALL_TIMEOUT_MS, describeFault, failure, parseObject, readRetryAfter } from "./http-call.ts";
import { readPrivateKey } from "./private-key.ts";

/** Apple refuses tokens older than an hour and more than one new token per 20 minutes. */
const TOKEN_LIFETIME_MS = 40 * 60_000;
const MAX_ANSWER_BYTES = 4096;
const GONE: ReadonlySet<string> = new Set(["BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"]);
/** Refusals of our credentials: the device is not to blame, and a new key may be on its way. */
const CREDENTIALS: ReadonlySet<string> = new Set([
  "InvalidProviderToken",
  "MissingProviderToken",
  "BadCertificate",
  "BadCertificateEnvironment",
  "Forbidden",
]);
const DEVICE_TOKEN = /^[0-9a-fA-F]{16,200}$/;

/** Options of {@link ApnsProvider}. */
export interface ApnsOptions {
  /** https://api.push.apple.com, or https://api.sandbox.push.apple.com for development builds. */
  url: string;
  /** The .p8 file's content. */
  privateKey: string;
  keyId: string;
  teamId: string;
  /** Bundle id of the app: apns-topic. */
  topic: string;
  clock: Clock;
  /** Default 5,000. */
  timeoutMs?: number;
}

interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
}

/** Apple Push Notification service: HTTP/2 on one connection, token authentication with ES256. */
export class ApnsProvider implements PushProvider {
  readonly name = "apns";
  readonly #options: ApnsOptions;
  readonly #key: KeyObject;
  #session: ClientHttp2Session | undefined;
  #token: { jwt: string; madeMs: number } | undefined;

  /** @throws {ImError} BAD_REQUEST when the key is none */
  constructor(options: ApnsOptions) {
    this.#options = options;
    this.#key = readPrivateKey(options.privateKey, "P-256", "IM_PUSH_APNS_KEY");
  }

  async push(request: PushRequest, signal: AbortSignal): Promise<PushResult> {
    // It becomes part of a path.
    if (!DEVICE_TOKEN.test(request.address)) return { kind: "gone", reason: "not a device token" };
    let answer = await this.#send(request, signal);
    if (answer.kind === "answer" && answer.reason === "ExpiredProviderToken") {
      this.#token = undefined;
      answer = await this.#send(request, signal);
    }
    return answer.kind === "failed" ? answer : judge(answer);
  }

  close(): void {
    this.#session?.destroy();
    this.#session = undefined;
  }

  async #send(request: PushRequest, signal: AbortSignal): Promise<Answer | PushFailure> {
    if (signal.aborted) return failure("stopped");
    try {
      const jwt = await this.#providerToken();
      return await this.#exchange(this.#headers(request, jwt), payloadOf(request), signal);
    } catch (error) {
      return failure(describeFault(error));
    }
  }

  #headers(request: PushRequest, jwt: string): Record<string, string> {
    const isAlert = request.urgency === "high";
    const expiresMs = this.#options.clock.wallMs() + request.ttlMs;
    return {
      ":method": "POST",
      ":path": `/3/device/${request.address}`,
      authorization: `bearer ${jwt}`,
      "apns-topic": this.#options.topic,
      "apns-push-type": isAlert ? "alert" : "background",
      "apns-priority": isAlert ? "10" : "5",
      "apns-expiration": String(Math.floor(expiresMs / 1000)),
      "apns-collapse-id": request.collapseKey,
    };
  }

  async #providerToken(): Promise<string> {
    const { clock, keyId, teamId } = this.#options;
    const nowMs = clock.nowMs();
    if (this.#token && nowMs - this.#token.madeMs < TOKEN_LIFETIME_MS) return this.#token.jwt;
    const jwt = await new SignJWT({})
      .setProtectedHeader({ alg: "ES256", kid: keyId })
      .setIssuer(teamId)
      .setIssuedAt(Math.floor(clock.wallMs() / 1000))
      .sign(this.#key);
    this.#token = { jwt, madeMs: nowMs };
    return jwt;
  }

  /** One stream of the shared connection. A deadline that passes gives the connection up: it may be a black hole. */
  #exchange(headers: Record<string, string>, body: string, signal: AbortSignal): Promise<Answer | PushFailure> {
    const { clock, timeoutMs } = this.#options;
    const session = this.#connection();
    return new Promise((resolve) => {
      const stream = session.request(headers, { endStream: false });
      const finish = (result: Answer | PushFailure): void => {
        cancel();
        signal.removeEventListener("abort", onAbort);
        resolve(result);
        stream.destroy();
      };
      const onAbort = (): void => finish(failure("stopped"));
      const cancel = clock.after(timeoutMs ?? CALL_TIMEOUT_MS, () => {
        this.#forget(session);
        finish(failure("no answer in time"));
      });
      signal.addEventListener("abort", onAbort, { once: true });
      stream.on("error", (error) => finish(failure(describeFault(error))));
      stream.on("close", () => finish(failure("the connection was closed")));
      readAnswer(stream, clock, finish);
      stream.end(body);
    });
  }

  #connection(): ClientHttp2Session {
    if (this.#session && !this.#session.closed && !this.#session.destroyed) return this.#session;
    const session = connect(this.#options.url);
    const forget = (): void => {
      if (this.#session === session) this.#session = undefined;
    };
    // Streams in flight are told by themselves.
    session.on("error", forget);
    session.on("goaway", forget);
    session.on("close", forget);
    session.unref();
    this.#session = session;
    return session;
  }

  #forget(session: ClientHttp2Session): void {
    if (this.#session === session) this.#session = undefined;
    // What other streams still wait for may come.
    session.close();
    this.#options.clock.after(CALL_TIMEOUT_MS, () => session.destroy());
  }
}

function readAnswer(stream: ClientHttp2Stream, clock: Clock, finish: (answer: Answer) => void): void {
  let status = 0;
  let retryAfterMs: number | undefined;
  let text = "";
  stream.setEncoding("utf8");
  stream.on("response", (headers) => {
    status = Number(headers[":status"]);
    const retryAfter = headers["retry-after"];
    retryAfterMs = readRetryAfter(typeof retryAfter === "string" ? retryAfter : undefined, clock.wallMs());
  });
  stream.on("data", (part: string) => {
    if (text.length < MAX_ANSWER_BYTES) text += part;
  });
  stream.on("end", () => {
    // A reset ends the stream, too: then there is no status, and "close" speaks.
    if (status === 0) return;
    const { reason } = parseObject(text);
    finish({ kind: "answer", status, reason: typeof reason === "string" ? reason : "", retryAfterMs });
  });
}

function payloadOf({ notification, badge, urgency }: PushRequest): string {
  const im = referencesOf(notification);
  if (urgency === "background") return JSON.stringify({ aps: { "content-available": 1, badge }, im });
  const aps = {
    // The app has the words in the user's language; mutable-content lets it fetch and show more.
    alert: { "loc-key": "IM_NEW_MESSAGE" },
    sound: "default",
    badge,
    "thread-id": notification.conversationId,
    "mutable-content": 1,
  };
  return JSON.stringify({ aps, im });
}

function judge({ status, reason, retryAfterMs }: Answer): PushResult {
  if (status === 200) return { kind: "accepted" };
  const text = `APNs answered ${status}${/^[A-Za-z]{1,40}$/.test(reason) ? ` ${reason}` : ""}`;
  if (status === 410 || GONE.has(reason)) return { kind: "gone", reason: text };
  if (reason === "TooManyRequests") return failure(text, retryAfterMs ?? 60_000, "address");
  if (status === 429 || status >= 500) return failure(text, retryAfterMs);
  if (CREDENTIALS.has(reason) || reason === "ExpiredProviderToken") return failure(text);
  return { kind: "rejected", reason: text };
}
