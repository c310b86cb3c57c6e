// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { decodeProtectedHeader, jwtVerify } from "jose";
import { type ProviderSandbox, PushRecord, readJson, retryAfter, type SandboxAnswer } from "./sandbox.ts";

export const APNS_KEY_ID = "ABC123DEFG";
export const APNS_TEAM_ID = "DEF123GHIJ";
export const APNS_TOPIC = "com.example.shop";

const MAX_TOKEN_AGE_S = 3600;
const MAX_PAYLOAD_BYTES = 4096;
const MAX_COLLAPSE_BYTES = 64;

/** APNs on loopback, HTTP/2 without TLS, with the key that it trusts. */
export interface ApnsSandbox extends ProviderSandbox {
  /** The .p8 file's content. */
  readonly privateKey: string;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Those that are open now. */
  readonly open: number;
  /** Sends GOAWAY on every connection, as Apple does for maintenance. */
  goAway(): void;
}

export async function startApnsSandbox(): Promise<ApnsSandbox> {
  const sandbox = new Sandbox();
  await sandbox.listen();
  return sandbox;
}

interface Refusal {
  status: number;
  reason: string;
}

const WORDS: Record<SandboxAnswer["kind"], Refusal> = {
  accept: { status: 200, reason: "" },
  refuse: { status: 400, reason: "BadMessageId" },
  gone: { status: 410, reason: "Unregistered" },
  expired: { status: 403, reason: "ExpiredProviderToken" },
  busy: { status: 429, reason: "TooManyRequests" },
  fail: { status: 503, reason: "ServiceUnavailable" },
  stall: { status: 0, reason: "" },
  reset: { status: 0, reason: "" },
};

class Sandbox extends PushRecord implements ApnsSandbox {
  readonly privateKey: string;
  connections = 0;
  readonly #publicKey: KeyObject;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor() {
    super();
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.privateKey = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    this.#publicKey = createPublicKey(pair.privateKey);
    this.#server = createServer();
    this.#server.on("session", (session) => {
      this.connections++;
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
      session.on("error", () => session.destroy());
    });
    this.#server.on("stream", (stream, headers) => void this.#receive(stream, headers));
  }

  get open(): number {
    return this.#sessions.size;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const session of this.#sessions) session.destroy();
    });
  }

  goAway(): void {
    for (const session of this.#sessions) session.close();
  }

  async #receive(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on("error", () => stream.destroy());
    const body = await readStream(stream);
    if (body === undefined) return;
    const refusal = (await this.#credentials(headers)) ?? formProblem(headers, body);
    if (refusal) {
      this.refused.push(refusal.reason);
      return reply(stream, refusal);
    }
    const address = String(headers[":path"]).slice("/3/device/".length);
    const answer = this.decide({ address, collapseKey: String(headers["apns-collapse-id"] ?? ""), text: body });
    if (answer.kind === "stall") return;
    if (answer.kind === "reset") return stream.session?.destroy();
    reply(stream, WORDS[answer.kind], retryAfter(answer));
  }

  async #credentials(headers: IncomingHttpHeaders): Promise<Refusal | undefined> {
    const token = /^bearer (.+)$/i.exec(String(headers.authorization ?? ""))?.[1];
    if (!token) return { status: 403, reason: "MissingProviderToken" };
    try {
      if (decodeProtectedHeader(token).kid !== APNS_KEY_ID) throw new Error("unknown key id");
      const { payload } = await jwtVerify(token, this.#publicKey, { algorithms: ["ES256"], issuer: APNS_TEAM_ID });
      const ageS = Date.now() / 1000 - (payload.iat ?? 0);
      if (Math.abs(ageS) > MAX_TOKEN_AGE_S) return { status: 403, reason: "ExpiredProviderToken" };
    } catch {
      // Signature, algorithm, issuer, key id: Apple does not say which.
      return { status: 403, reason: "InvalidProviderToken" };
    }
    return headers["apns-topic"] === APNS_TOPIC ? undefined : { status: 400, reason: "TopicDisallowed" };
  }
}

/** What Apple checks about a request's form. */
function formProblem(headers: IncomingHttpHeaders, body: string): Refusal | undefined {
  const bad = (reason: string, status = 400): Refusal => ({ status, reason });
  if (headers[":method"] !== "POST") return bad("MethodNotAllowed", 405);
  if (!/^\/3\/device\/[0-9a-f]+$/i.test(String(headers[":path"]))) return bad("BadPath", 404);
  const type = headers["apns-push-type"];
  const priority = headers["apns-priority"];
  if (type !== "alert" && type !== "background") return bad("InvalidPushType");
  if (priority !== "5" && priority !== "10") return bad("BadPriority");
  if (type === "background" && priority === "10") return bad("BadPriority");
  if (!/^\d{1,12}$/.test(String(headers["apns-expiration"]))) return bad("BadExpirationDate");
  if (Buffer.byteLength(String(headers["apns-collapse-id"] ?? "")) > MAX_COLLAPSE_BYTES) return bad("BadCollapseId");
  if (Buffer.byteLength(body) > MAX_PAYLOAD_BYTES) return bad("PayloadTooLarge", 413);
  const aps = readJson(body)?.aps;
  return typeof aps === "object" && aps !== null ? undefined : bad("PayloadEmpty");
}

async function readStream(stream: ServerHttp2Stream): Promise<string | undefined> {
  let text = "";
  stream.setEncoding("utf8");
  try {
    for await (const part of stream) text += part as string;
    return text;
  } catch {
    // The caller went away in the middle.
    return undefined;
  }
}

function reply(stream: ServerHttp2Stream, { status, reason }: Refusal, headers: Record<string, string> = {}): void {
  if (stream.destroyed) return;
  stream.respond({ ":status": status, ...headers });
  stream.end(reason === "" ? undefined : JSON.stringify({ reason }));
}
