// SPDX-License-Identifier: Apache-2.0
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { readBody } from "./read-body.ts";

/**
 * How a push provider in a test treats one well-formed push. Each sandbox puts it into its protocol's words.
 * `refuse`: never this push; `gone`: the address is dead; `busy`: 429; `fail`: 5xx; `stall`: no answer;
 * `reset`: the connection breaks in the middle; `expired`: our credentials are no longer taken.
 */
export type SandboxAnswer =
  | { readonly kind: "accept" | "refuse" | "gone" | "stall" | "reset" | "expired" }
  | { readonly kind: "busy" | "fail"; readonly retryAfterS?: number };

export const ACCEPT: SandboxAnswer = { kind: "accept" };

/** One well-formed push with valid credentials, whatever it was answered. */
export interface SandboxPush {
  /** Token, subscription endpoint, open id or number; the user id where the provider addresses users itself. */
  readonly address: string;
  readonly collapseKey: string;
  /** Everything readable that was sent, decrypted. */
  readonly text: string;
  readonly answer: SandboxAnswer["kind"];
}

/** A push provider on loopback that checks what the real one checks and remembers what it was told. */
export interface ProviderSandbox {
  readonly url: string;
  readonly pushes: readonly SandboxPush[];
  /** Pushes that were answered with success. */
  readonly accepted: readonly SandboxPush[];
  /** Why requests were turned down before their push counted: bad credentials, bad form. */
  readonly refused: readonly string[];
  /** Decides about each push; everything is accepted by default. */
  behave: (address: string, attempt: number) => SandboxAnswer;
  close(): Promise<void>;
}

export interface SandboxRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface SandboxReply {
  readonly status: number;
  readonly headers?: Record<string, string>;
  /** JSON when an object. */
  readonly body?: object | string;
}

/** What a protocol makes of a request: a push, an answer of its own (a token), or a refusal. */
export type SandboxVerdict =
  | { readonly kind: "push"; readonly address: string; readonly collapseKey: string; readonly text: string }
  | { readonly kind: "reply"; readonly reply: SandboxReply }
  | { readonly kind: "refused"; readonly why: string; readonly reply: SandboxReply };

/** A provider's protocol over HTTP/1. */
export interface SandboxProtocol {
  judge(request: SandboxRequest): SandboxVerdict | Promise<SandboxVerdict>;
  /** The protocol's words for an answer; `stall` and `reset` need none. */
  answer(kind: SandboxAnswer["kind"]): SandboxReply;
}

/** Counts and remembers pushes; the part of a sandbox that no protocol changes. */
export class PushRecord {
  readonly pushes: SandboxPush[] = [];
  readonly refused: string[] = [];
  behave: ProviderSandbox["behave"] = () => ACCEPT;
  readonly #attempts = new Map<string, number>();

  get accepted(): SandboxPush[] {
    return this.pushes.filter(({ answer }) => answer === "accept");
  }

  decide(push: Omit<SandboxPush, "answer">): SandboxAnswer {
    const attempt = (this.#attempts.get(push.address) ?? 0) + 1;
    this.#attempts.set(push.address, attempt);
    const answer = this.behave(push.address, attempt);
    this.pushes.push({ ...push, answer: answer.kind });
    return answer;
  }
}

/** Starts a sandbox for a protocol on a free port of loopback. */
export async function startHttpSandbox(protocol: SandboxProtocol): Promise<HttpSandbox> {
  const sandbox = new HttpSandbox(protocol);
  await sandbox.listen();
  return sandbox;
}

export class HttpSandbox extends PushRecord implements ProviderSandbox {
  readonly #protocol: SandboxProtocol;
  readonly #server: Server;

  constructor(protocol: SandboxProtocol) {
    super();
    this.#protocol = protocol;
    this.#server = createServer((request, response) => void this.#receive(request, response));
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
      this.#server.closeAllConnections();
    });
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    if (!body) return;
    const { method = "", headers } = request;
    const verdict = await this.#protocol.judge({ method, url: new URL(request.url ?? "/", this.url), headers, body });
    if (verdict.kind === "reply") return send(response, verdict.reply);
    if (verdict.kind === "refused") {
      this.refused.push(verdict.why);
      return send(response, verdict.reply);
    }
    const { address, collapseKey, text } = verdict;
    const answer = this.decide({ address, collapseKey, text });
    if (answer.kind === "stall") return;
    if (answer.kind === "reset") {
      request.socket.resetAndDestroy();
      return;
    }
    const { status, headers: extra, body: reply } = this.#protocol.answer(answer.kind);
    send(response, {
      status,
      headers: { ...extra, ...retryAfter(answer) },
      ...(reply === undefined ? {} : { body: reply }),
    });
  }
}

/** The header Retry-After, when the answer has one. */
export function retryAfter(answer: SandboxAnswer): Record<string, string> {
  const seconds = "retryAfterS" in answer ? answer.retryAfterS : undefined;
  return seconds === undefined ? {} : { "retry-after": String(seconds) };
}

function send(response: ServerResponse, { status, headers, body }: SandboxReply): void {
  const isJson = typeof body === "object";
  response.writeHead(status, { ...(isJson ? { "content-type": "application/json" } : {}), ...headers });
  response.end(isJson ? JSON.stringify(body) : body);
}

/** A JSON object, or undefined. */
export function readJson(body: Buffer | string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // Not JSON: the protocol refuses it.
    return undefined;
  }
}
