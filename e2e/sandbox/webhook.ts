// SPDX-License-Identifier: Apache-2.0
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { readBody } from "./read-body.ts";
import { isSigned } from "./signature.ts";

/** Body of one push, as the webhook provider sends it. */
export interface WebhookPush {
  type: string;
  userId: string;
  conversationId: string;
  messageId: string;
  inboxSeq: number;
  sender: string;
  sentAtMs: number;
  subjectType?: string;
  subjectId?: string;
}

/** How the sandbox answers one request: a status, never, or by breaking the connection. */
export type WebhookAnswer = { status: number; headers?: Record<string, string> } | "hang" | "reset";

/** Options of {@link startWebhookSandbox}. */
export interface WebhookSandboxOptions {
  /** Key of the signature; requests without a valid one are answered 401 and not recorded. "" = unchecked. */
  secret?: string;
  /** Answer to a well-formed push, 204 by default. */
  answer?: (push: WebhookPush, attempt: number) => WebhookAnswer;
  port?: number;
  /** Address to listen on; "" = all. Default loopback. */
  host?: string;
}

/** A push provider on loopback that remembers what it was told. */
export interface WebhookSandbox {
  readonly url: string;
  /** Well-formed, correctly signed pushes in order of arrival, refused ones included. */
  readonly pushes: WebhookPush[];
  /** The header of each of them; "" = none. */
  readonly traceparents: string[];
  /** Requests answered 400 or 401. */
  readonly invalid: number;
  close(): Promise<void>;
}

/** Starts the sandbox on a free port. */
export async function startWebhookSandbox(options: WebhookSandboxOptions = {}): Promise<WebhookSandbox> {
  const sandbox = new Sandbox(options);
  await sandbox.listen(options.port ?? 0, options.host ?? "127.0.0.1");
  return sandbox;
}

class Sandbox implements WebhookSandbox {
  readonly pushes: WebhookPush[] = [];
  readonly traceparents: string[] = [];
  invalid = 0;
  readonly #options: WebhookSandboxOptions;
  readonly #server: Server;
  readonly #attempts = new Map<string, number>();

  constructor(options: WebhookSandboxOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#receive(request, response));
  }

  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `http://${address.includes(":") ? `[${address}]` : address}:${port}/push`;
  }

  listen(port: number, host: string): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, host === "" ? undefined : host, resolve));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await readBody(request))?.toString("utf8");
    const push = body === undefined ? undefined : parse(body);
    if (body === undefined || push === undefined) {
      this.invalid++;
      response.writeHead(400).end();
      return;
    }
    const secret = this.#options.secret ?? "";
    if (secret !== "" && !isSigned(secret, String(request.headers["x-im-signature"] ?? ""), body)) {
      this.invalid++;
      response.writeHead(401).end();
      return;
    }
    this.pushes.push(push);
    this.traceparents.push(String(request.headers.traceparent ?? ""));
    const key = `${push.userId}/${push.inboxSeq}`;
    const attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempt);
    const answer = this.#options.answer?.(push, attempt) ?? { status: 204 };
    if (answer === "reset") request.socket.resetAndDestroy();
    else if (answer !== "hang") response.writeHead(answer.status, answer.headers).end();
  }
}

function parse(body: string): WebhookPush | undefined {
  try {
    const push = JSON.parse(body) as WebhookPush;
    return push.type === "push" && typeof push.userId === "string" ? push : undefined;
  } catch {
    // Not JSON: answered 400.
    return undefined;
  }
}
