// SPDX-License-Identifier: Apache-2.0
import { lookup as resolveName } from "node:dns";
import type { ClientRequest, Agent as HttpAgent, IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { Clock } from "#lib/clock.ts";
import { Agent, request as requestHttp } from "#lib/node-http.ts";
import { type TraceContext, writeTraceparent } from "#lib/tracing/trace-context.ts";
import { type AllowedNetworks, isPublicAddress } from "./public-address.ts";
import { signature } from "./signature.ts";

/** Addresses of a name, as `dns.lookup` with `all` gives them. */
export type ResolveAll = (
  hostname: string,
  done: (error: Error | null, addresses: readonly { address: string; family: number }[]) => void,
) => void;

/** Options of {@link WebhookSender}. */
export interface WebhookSenderOptions {
  /** Private networks that may be called all the same; there, and only there, without TLS too. */
  allowed: AllowedNetworks;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  /** Of one try, from the look-up to the last byte. Default 3,000. */
  timeoutMs?: number;
  /** Default 3. */
  tries?: number;
  /** Mean of the pause before the second try, doubled for each further one. Default 200. */
  pauseMs?: number;
  /** Bytes of an answer that are read; a longer one is cut. Default 8 KiB. */
  maxAnswerBytes?: number;
  /** Calls at the same time to one host; others wait within their timeout. Default 32. */
  connections?: number;
  /** PEM certificates that are trusted beside those of the system. */
  ca?: readonly string[];
  /** For tests. */
  resolve?: ResolveAll;
}

/** One message to a backend. */
export interface WebhookCall {
  readonly url: string;
  /** Key of the signature. */
  readonly secret: string;
  /** JSON. */
  readonly body: string;
  /** The same for all tries of one thing, also those of a later call: the backend does it once. */
  readonly idempotencyKey: string;
  /** Of what is traced: the backend's spans may go on under it. */
  readonly trace?: TraceContext | undefined;
  /** Ends the call. */
  readonly signal?: AbortSignal;
}

export type WebhookResult =
  /** 2xx, or a 4xx that is worth no repetition: the backend has decided. */
  | { readonly kind: "answered"; readonly status: number; readonly body: Buffer }
  /** No try brought an answer: nothing is known. */
  | { readonly kind: "failed"; readonly reason: string }
  /** Nothing was sent: the URL leads where no webhook goes. The same call will never work. */
  | { readonly kind: "forbidden"; readonly reason: string };

const TOO_EARLY = 425;
const RETRIED: ReadonlySet<number> = new Set([408, TOO_EARLY, 429]);
const FORBIDDEN = "EIMFORBIDDEN";

/** The name leads to an address that webhooks do not go to. */
class ForbiddenAddress extends Error {
  readonly code = FORBIDDEN;
}

/**
 * POSTs signed JSON to backends of the shop. The name is resolved once per connection, every address is looked at, and the
 * connection goes to those addresses: a name that means something else a moment later gains nothing. No redirects are followed.
 * Everything is bounded: tries, time, bytes, connections.
 */
export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #tries: number;
  readonly #timeoutMs: number;
  readonly #https: HttpsAgent;
  readonly #http: HttpAgent;
  readonly #resolve: ResolveAll;

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
    this.#tries = options.tries ?? 3;
    this.#timeoutMs = options.timeoutMs ?? 3000;
    this.#resolve =
      options.resolve ??
      ((hostname, done) => resolveName(hostname, { all: true }, (error, addresses) => done(error, addresses ?? [])));
    const pool = { keepAlive: true, maxSockets: options.connections ?? 32, maxFreeSockets: 4 };
    this.#https = new HttpsAgent({ ...pool, ...(options.ca ? { ca: [...options.ca] } : {}) });
    this.#http = new Agent(pool);
  }

  /** Longest that a call takes, ms. */
  get deadlineMs(): number {
    const pauses = (this.#options.pauseMs ?? 200) * 2 * (2 ** (this.#tries - 1) - 1);
    return this.#tries * this.#timeoutMs + pauses;
  }

  /** Never rejects. Each try has a timestamp and a signature of its own. */
  async post(call: WebhookCall): Promise<WebhookResult> {
    const { clock, random, pauseMs = 200 } = this.#options;
    let last: WebhookResult = { kind: "failed", reason: "aborted" };
    for (let attempt = 0; attempt < this.#tries && !call.signal?.aborted; attempt++) {
      if (attempt > 0) {
        const waitMs = pauseMs * 2 ** attempt * random();
        await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
      }
      last = await this.#try(call);
      if (last.kind !== "failed") return last;
    }
    return last;
  }

  /** Ends idle connections. */
  close(): void {
    this.#https.destroy();
    this.#http.destroy();
  }

  #try(call: WebhookCall): Promise<WebhookResult> {
    const problem = this.#urlProblem(call.url);
    if (problem) return Promise.resolve({ kind: "forbidden", reason: problem });
    const url = new URL(call.url);
    const isTls = url.protocol === "https:";
    const { promise, resolve } = Promise.withResolvers<WebhookResult>();
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(call.body),
      "idempotency-key": call.idempotencyKey,
      "x-im-signature": signature(call.secret, Math.floor(this.#options.clock.wallMs() / 1000), call.body),
      ...(call.trace ? { traceparent: writeTraceparent(call.trace) } : {}),
    };
    const lookup = this.#lookup(isTls);
    const request = isTls
      ? requestHttps(url, { method: "POST", headers, lookup, agent: this.#https })
      : requestHttp(url, { method: "POST", headers, lookup, agent: this.#http });
    this.#settle(request, call.signal, resolve);
    request.end(call.body);
    return promise;
  }

  #settle(request: ClientRequest, signal: AbortSignal | undefined, resolve: (result: WebhookResult) => void): void {
    const end = (result: WebhookResult): void => {
      cancel();
      signal?.removeEventListener("abort", abort);
      resolve(result);
    };
    const fail = (reason: string): void => {
      end({ kind: "failed", reason });
      request.destroy();
    };
    const abort = (): void => fail("aborted");
    const cancel = this.#options.clock.after(this.#timeoutMs, () => fail(`no answer within ${this.#timeoutMs} ms`));
    signal?.addEventListener("abort", abort);
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === FORBIDDEN) end({ kind: "forbidden", reason: error.message });
      else end({ kind: "failed", reason: error.code ?? error.message });
    });
    request.on("response", (response) => this.#read(response, { end, fail }));
    if (signal?.aborted) abort();
  }

  /** Collects as much of the answer as is kept. */
  #read(
    response: IncomingMessage,
    { end, fail }: { end: (result: WebhookResult) => void; fail: (reason: string) => void },
  ): void {
    const { statusCode: status = 0 } = response;
    const max = this.#options.maxAnswerBytes ?? 8192;
    const chunks: Buffer[] = [];
    let bytes = 0;
    const finish = (): void => {
      if (isAnswer(status)) end({ kind: "answered", status, body: Buffer.concat(chunks).subarray(0, max) });
      else end({ kind: "failed", reason: `the backend answered ${status}` });
    };
    response.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes < max) return;
      finish();
      response.destroy();
    });
    response.on("end", finish);
    response.on("error", (error) => fail(error.message));
  }

  #urlProblem(text: string): string | undefined {
    if (!URL.canParse(text)) return "the address of the webhook is no URL";
    const { protocol, username, password, hostname } = new URL(text);
    if (protocol !== "https:" && protocol !== "http:") return "a webhook goes to https:// only";
    if (username !== "" || password !== "") return "the address of a webhook has no user and no password";
    const literal = hostname.replace(/^\[|\]$/g, "");
    return isIP(literal) === 0 ? undefined : this.#addressProblem(literal, protocol === "https:");
  }

  #addressProblem(address: string, isTls: boolean): string | undefined {
    if (this.#options.allowed.has(address)) return undefined;
    if (!isPublicAddress(address)) return "the webhook leads to a private address";
    return isTls ? undefined : "a webhook to the Internet goes by https:// only";
  }

  /** Every address of the name is looked at, and only these are connected to. */
  #lookup(isTls: boolean): LookupFunction {
    return (hostname, options, done) => {
      this.#resolve(hostname, (error, addresses) => {
        const [first] = addresses;
        const problem = addresses.map(({ address }) => this.#addressProblem(address, isTls)).find(Boolean);
        if (error || !first) done(error ?? new Error(`${hostname} has no address`), "");
        else if (problem) done(new ForbiddenAddress(problem), "");
        else if (options.all) done(null, [...addresses]);
        else done(null, first.address, first.family);
      });
    };
  }
}

/** A redirect is none: it would lead where nobody looked. */
function isAnswer(status: number): boolean {
  return (status >= 200 && status < 300) || (status >= 400 && status < 500 && !RETRIED.has(status));
}
