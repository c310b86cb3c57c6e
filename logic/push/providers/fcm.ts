// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type PushFailure, type PushProvider, type PushRequest, type PushResult, referencesOf } from "../provider.ts";
import { AccessToken, type IssuedToken } from "./access-token.ts";
import { callHttp, failure, type HttpAnswer, parseObject } from "./http-call.ts";
import { readPrivateKey } from "./private-key.ts";

const SCOPE = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_LIFETIME_S = 3600;
/** What Google asks for where it names no Retry-After. */
const QUOTA_PAUSE_MS = 60_000;

/** Options of {@link FcmProvider}. */
export interface FcmOptions {
  /** Default https://fcm.googleapis.com. */
  url: string;
  /** The service account's JSON file. */
  serviceAccount: string;
  clock: Clock;
  /** Default 5,000. */
  timeoutMs?: number;
}

interface ServiceAccount {
  projectId: string;
  clientEmail: string;
  tokenUri: string;
  key: KeyObject;
}

/** Firebase Cloud Messaging, HTTP v1: an access token by the JWT bearer grant, one POST a push. */
export class FcmProvider implements PushProvider {
  readonly name = "fcm";
  readonly #options: FcmOptions;
  readonly #account: ServiceAccount;
  readonly #token: AccessToken;

  /** @throws {ImError} BAD_REQUEST when the service account is unusable */
  constructor(options: FcmOptions) {
    this.#options = options;
    this.#account = readServiceAccount(options.serviceAccount);
    this.#token = new AccessToken(options.clock, (signal) => this.#issueToken(signal));
  }

  async push(request: PushRequest, signal: AbortSignal): Promise<PushResult> {
    for (let attempt = 1; ; attempt++) {
      const token = await this.#token.get(signal);
      if (token.kind === "failed") return token;
      const answer = await this.#send(request, token.value, signal);
      if (answer.kind === "failed") return answer;
      if (answer.status !== 401 || attempt === 2) return judge(answer);
      this.#token.refuse(token.value);
    }
  }

  close(): void {
    // Connections belong to the process.
  }

  #send(request: PushRequest, accessToken: string, signal: AbortSignal): Promise<HttpAnswer | PushFailure> {
    const { url, clock, timeoutMs } = this.#options;
    return callHttp({
      url: `${url}/v1/projects/${encodeURIComponent(this.#account.projectId)}/messages:send`,
      headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json" },
      body: JSON.stringify({ message: messageOf(request) }),
      signal,
      timeoutMs,
      wallMs: () => clock.wallMs(),
    });
  }

  async #issueToken(signal: AbortSignal): Promise<IssuedToken | PushFailure> {
    const { clientEmail, tokenUri, key } = this.#account;
    const { clock, timeoutMs } = this.#options;
    const issuedS = Math.floor(clock.wallMs() / 1000);
    const assertion = await new SignJWT({ scope: SCOPE })
      .setProtectedHeader({ alg: "RS256", typ: "JWT" })
      .setIssuer(clientEmail)
      .setAudience(tokenUri)
      .setIssuedAt(issuedS)
      .setExpirationTime(issuedS + ASSERTION_LIFETIME_S)
      .sign(key);
    const answer = await callHttp({
      url: tokenUri,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ grant_type: GRANT, assertion }).toString(),
      signal,
      timeoutMs,
      wallMs: () => clock.wallMs(),
    });
    if (answer.kind === "failed") return answer;
    const { access_token: value, expires_in: lifetimeS } = answer.body;
    if (answer.status !== 200 || typeof value !== "string" || typeof lifetimeS !== "number") {
      return failure(`Google's token endpoint answered ${answer.status}`, answer.retryAfterMs);
    }
    return { kind: "issued", value, lifetimeMs: lifetimeS * 1000 };
  }
}

function messageOf({ address, notification, collapseKey, urgency, ttlMs, badge }: PushRequest): object {
  const isAlert = urgency === "high";
  // Words come from the app's resources, in the user's language.
  const shown = { body_loc_key: "im_new_message", tag: collapseKey, notification_count: badge };
  return {
    token: address,
    data: { ...referencesOf(notification), inboxSeq: String(notification.inboxSeq) },
    android: {
      collapse_key: collapseKey,
      priority: isAlert ? "HIGH" : "NORMAL",
      ttl: `${Math.floor(ttlMs / 1000)}s`,
      ...(isAlert ? { notification: shown } : {}),
    },
  };
}

interface FcmError {
  details?: { errorCode?: string; fieldViolations?: { field?: string }[] }[];
}

function judge({ status, body, retryAfterMs }: HttpAnswer): PushResult {
  if (status === 200) return { kind: "accepted" };
  const details = (body.error as FcmError | undefined)?.details;
  const known = Array.isArray(details) ? details : [];
  const code = known.find(({ errorCode }) => typeof errorCode === "string")?.errorCode ?? "";
  const isAddress = known.some(({ fieldViolations }) =>
    fieldViolations?.some(({ field }) => field === "message.token"),
  );
  const reason = `FCM answered ${status}${/^[A-Z_]{1,40}$/.test(code) ? ` ${code}` : ""}`;
  if (code === "UNREGISTERED" || code === "SENDER_ID_MISMATCH" || status === 404 || isAddress) {
    return { kind: "gone", reason };
  }
  if (status === 429) return failure(reason, retryAfterMs ?? QUOTA_PAUSE_MS);
  if (status >= 500 || status === 401 || status === 403) return failure(reason, retryAfterMs);
  return { kind: "rejected", reason };
}

function readServiceAccount(text: string): ServiceAccount {
  const { project_id: projectId, client_email: clientEmail, token_uri: tokenUri, private_key: pem } = parseObject(text);
  for (const value of [projectId, clientEmail, tokenUri, pem]) {
    if (typeof value === "string" && value !== "") continue;
    throw new ImError(
      ErrorCode.BAD_REQUEST,
      "IM_PUSH_FCM_SERVICE_ACCOUNT: is not a service account's JSON file with project_id, client_email, token_uri and private_key",
    );
  }
  if (!URL.canParse(String(tokenUri)))
    throw new ImError(ErrorCode.BAD_REQUEST, "IM_PUSH_FCM_SERVICE_ACCOUNT: its token_uri is not a URL");
  return {
    projectId: String(projectId),
    clientEmail: String(clientEmail),
    tokenUri: String(tokenUri),
    key: readPrivateKey(String(pem), "RSA", "IM_PUSH_FCM_SERVICE_ACCOUNT"),
  };
}
