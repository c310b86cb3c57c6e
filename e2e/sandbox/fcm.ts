// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync, type KeyObject, randomUUID } from "node:crypto";
import { jwtVerify } from "jose";
import {
  type ProviderSandbox,
  readJson,
  type SandboxAnswer,
  type SandboxReply,
  type SandboxRequest,
  type SandboxVerdict,
  startHttpSandbox,
} from "./sandbox.ts";

const PROJECT = "shop-example";
const EMAIL = "push@shop-example.iam.gserviceaccount.com";
const SCOPE = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const MAX_BODY_BYTES = 4096;

/** Google's token endpoint and FCM on loopback. */
export interface FcmSandbox extends ProviderSandbox {
  /** The service account's JSON file. */
  readonly serviceAccount: string;
  /** Access tokens given out. */
  readonly issued: number;
  /** Takes back all access tokens. */
  revoke(): void;
}

export async function startFcmSandbox(): Promise<FcmSandbox> {
  const protocol = new Protocol();
  const http = await startHttpSandbox(protocol);
  protocol.url = http.url;
  return Object.defineProperties(http, {
    serviceAccount: { value: protocol.serviceAccount },
    issued: { get: () => protocol.issued },
    revoke: { value: () => protocol.tokens.clear() },
  }) as typeof http & FcmSandbox;
}

class Protocol {
  url = "";
  issued = 0;
  readonly tokens = new Set<string>();
  readonly #key: { publicKey: KeyObject; privateKey: KeyObject };

  constructor() {
    this.#key = generateKeyPairSync("rsa", { modulusLength: 2048 });
  }

  get serviceAccount(): string {
    return JSON.stringify({
      type: "service_account",
      project_id: PROJECT,
      client_email: EMAIL,
      token_uri: `${this.url}/token`,
      private_key: this.#key.privateKey.export({ type: "pkcs8", format: "pem" }),
    });
  }

  async judge(request: SandboxRequest): Promise<SandboxVerdict> {
    if (request.url.pathname === "/token") return await this.#issue(request);
    if (request.method !== "POST" || request.url.pathname !== `/v1/projects/${PROJECT}/messages:send`) {
      return { kind: "refused", why: "path", reply: { status: 404 } };
    }
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
    if (!this.tokens.has(token)) {
      return { kind: "refused", why: "UNAUTHENTICATED", reply: errorReply(401, "UNAUTHENTICATED") };
    }
    const message = readJson(request.body)?.message as Record<string, unknown> | undefined;
    const android = message?.android as Record<string, unknown> | undefined;
    const data = message?.data as Record<string, unknown> | undefined;
    const isWellFormed =
      typeof message?.token === "string" &&
      request.body.length <= MAX_BODY_BYTES &&
      Object.values(data ?? {}).every((value) => typeof value === "string") &&
      ["HIGH", "NORMAL"].includes(String(android?.priority)) &&
      /^\d+s$/.test(String(android?.ttl));
    if (!isWellFormed) return { kind: "refused", why: "INVALID_ARGUMENT", reply: errorReply(400, "INVALID_ARGUMENT") };
    return {
      kind: "push",
      address: String(message.token),
      collapseKey: String(android?.collapse_key ?? ""),
      text: request.body.toString(),
    };
  }

  answer(kind: SandboxAnswer["kind"]): SandboxReply {
    switch (kind) {
      case "accept":
        return { status: 200, body: { name: `projects/${PROJECT}/messages/${randomUUID()}` } };
      case "gone":
        return errorReply(404, "UNREGISTERED");
      case "refuse":
        return errorReply(400, "INVALID_ARGUMENT");
      case "busy":
        return errorReply(429, "QUOTA_EXCEEDED");
      case "expired":
        this.tokens.clear();
        return errorReply(401, "THIRD_PARTY_AUTH_ERROR");
      default:
        return errorReply(503, "UNAVAILABLE");
    }
  }

  async #issue(request: SandboxRequest): Promise<SandboxVerdict> {
    const form = new URLSearchParams(request.body.toString());
    try {
      if (form.get("grant_type") !== GRANT) throw new Error("grant type");
      const { payload } = await jwtVerify(form.get("assertion") ?? "", this.#key.publicKey, {
        algorithms: ["RS256"],
        issuer: EMAIL,
        audience: `${this.url}/token`,
        maxTokenAge: "1h",
      });
      if (payload.scope !== SCOPE || (payload.exp ?? 0) - (payload.iat ?? 0) > 3600) throw new Error("scope or life");
    } catch {
      return { kind: "refused", why: "invalid_grant", reply: { status: 400, body: { error: "invalid_grant" } } };
    }
    const token = randomUUID();
    this.tokens.add(token);
    this.issued++;
    return {
      kind: "reply",
      reply: { status: 200, body: { access_token: token, expires_in: 3599, token_type: "Bearer" } },
    };
  }
}

function errorReply(status: number, errorCode: string): SandboxReply {
  const type = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
  return { status, body: { error: { code: status, details: [{ "@type": type, errorCode }] } } };
}
