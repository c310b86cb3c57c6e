// SPDX-License-Identifier: Apache-2.0
import { createDecipheriv, createECDH, createPublicKey, generateKeyPairSync, hkdfSync, randomBytes } from "node:crypto";
import { jwtVerify } from "jose";
import {
  type ProviderSandbox,
  type SandboxAnswer,
  type SandboxRequest,
  type SandboxVerdict,
  startHttpSandbox,
} from "./sandbox.ts";

const MAX_BODY_BYTES = 4096;
const MAX_TOKEN_LIFE_S = 86_400;
const STATUS: Record<SandboxAnswer["kind"], number> = {
  accept: 201,
  refuse: 413,
  gone: 410,
  busy: 429,
  fail: 503,
  expired: 401,
  stall: 0,
  reset: 0,
};

/** A browser's push service and its subscriptions on loopback. */
export interface WebPushSandbox extends ProviderSandbox {
  /** The application server's private key in PEM. */
  readonly privateKey: string;
  /** A new subscription, as a browser's JSON. */
  subscribe(): string;
}

export async function startWebPushSandbox(): Promise<WebPushSandbox> {
  const protocol = new Protocol();
  const http = await startHttpSandbox(protocol);
  protocol.url = http.url;
  return Object.defineProperties(http, {
    privateKey: { value: protocol.privateKey },
    subscribe: { value: () => protocol.subscribe() },
  }) as typeof http & WebPushSandbox;
}

interface Subscriber {
  privateKey: Buffer;
  publicKey: Buffer;
  auth: Buffer;
}

class Protocol {
  url = "";
  readonly privateKey: string;
  /** Uncompressed point of the application server. */
  readonly #server: string;
  readonly #subscribers = new Map<string, Subscriber>();

  constructor() {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.privateKey = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const { x = "", y = "" } = pair.publicKey.export({ format: "jwk" });
    this.#server = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]).toString(
      "base64url",
    );
  }

  subscribe(): string {
    const ecdh = createECDH("prime256v1");
    const publicKey = ecdh.generateKeys();
    const subscriber = { privateKey: ecdh.getPrivateKey(), publicKey, auth: randomBytes(16) };
    const path = `/push/${randomBytes(12).toString("base64url")}`;
    this.#subscribers.set(path, subscriber);
    const keys = { p256dh: publicKey.toString("base64url"), auth: subscriber.auth.toString("base64url") };
    return JSON.stringify({ endpoint: `${this.url}${path}`, expirationTime: null, keys });
  }

  async judge({ method, url, headers, body }: SandboxRequest): Promise<SandboxVerdict> {
    const refused = (status: number, why: string): SandboxVerdict => ({ kind: "refused", why, reply: { status } });
    const subscriber = this.#subscribers.get(url.pathname);
    if (method !== "POST" || !subscriber) return refused(404, "endpoint");
    const vapid = /^vapid t=([^, ]+), ?k=([^, ]+)$/.exec(headers.authorization ?? "");
    if (!vapid) return refused(401, "authorization");
    const [, token = "", key = ""] = vapid;
    if (key !== this.#server) return refused(403, "application server key");
    try {
      const { payload } = await jwtVerify(token, pointToKey(key), { algorithms: ["ES256"], audience: this.url });
      if ((payload.exp ?? 0) - Date.now() / 1000 > MAX_TOKEN_LIFE_S || !/^(mailto|https):/.test(String(payload.sub))) {
        return refused(401, "claims");
      }
    } catch {
      return refused(401, "token");
    }
    if (!/^\d+$/.test(String(headers.ttl))) return refused(400, "ttl");
    if (headers["content-encoding"] !== "aes128gcm") return refused(415, "encoding");
    if (!["very-low", "low", "normal", "high"].includes(String(headers.urgency))) return refused(400, "urgency");
    const topic = String(headers.topic ?? "");
    if (!/^[A-Za-z0-9_-]{1,32}$/.test(topic)) return refused(400, "topic");
    if (body.length > MAX_BODY_BYTES) return refused(413, "size");
    const text = decrypt(body, subscriber);
    if (text === undefined) return refused(400, "encryption");
    return { kind: "push", address: `${this.url}${url.pathname}`, collapseKey: topic, text };
  }

  answer(kind: SandboxAnswer["kind"]): { status: number } {
    return { status: STATUS[kind] };
  }
}

function pointToKey(base64url: string) {
  const point = Buffer.from(base64url, "base64url");
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString("base64url"));
  return createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
}

/** What the browser does; with node's own HKDF, unlike the provider. */
function decrypt(body: Buffer, { privateKey, publicKey, auth }: Subscriber): string | undefined {
  try {
    const salt = body.subarray(0, 16);
    const keyLength = body.readUInt8(20);
    const sender = body.subarray(21, 21 + keyLength);
    const sealed = body.subarray(21 + keyLength);
    const ecdh = createECDH("prime256v1");
    ecdh.setPrivateKey(privateKey);
    const info = Buffer.concat([Buffer.from("WebPush: info\0"), publicKey, sender]);
    const secret = Buffer.from(hkdfSync("sha256", ecdh.computeSecret(sender), auth, info, 32));
    const contentKey = Buffer.from(hkdfSync("sha256", secret, salt, "Content-Encoding: aes128gcm\0", 16));
    const nonce = Buffer.from(hkdfSync("sha256", secret, salt, "Content-Encoding: nonce\0", 12));
    const decipher = createDecipheriv("aes-128-gcm", contentKey, nonce);
    decipher.setAuthTag(sealed.subarray(-16));
    const padded = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    const end = padded.lastIndexOf(2);
    return end < 0 ? undefined : padded.subarray(0, end).toString();
  } catch {
    // Wrong keys, salt or form: a browser drops it.
    return undefined;
  }
}
