// SPDX-License-Identifier: Apache-2.0
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { readBody } from "./read-body.ts";
import { isSigned } from "./signature.ts";

/** A pressed button, as the shop's backend is told of it. */
export interface ShopPress {
  type: string;
  id: string;
  userId: string;
  action: string;
  card: { type: string; ref: string; version: number };
}

/** Options of {@link startShopSandbox}. */
export interface ShopSandboxOptions {
  /** Key of the signature; requests without a valid one are answered 401 and not recorded. */
  secret: string;
  port?: number;
  /** Address to listen on; "" = all. Default loopback. */
  host?: string;
}

/** The shop's backend for buttons of cards: it takes every press, and says so. */
export interface ShopSandbox {
  readonly url: string;
  /** Well-formed, correctly signed presses in order of arrival. */
  readonly presses: readonly ShopPress[];
  close(): Promise<void>;
}

/** Starts it on a free port, or the one that is given. */
export async function startShopSandbox({
  secret,
  port = 0,
  host = "127.0.0.1",
}: ShopSandboxOptions): Promise<ShopSandbox> {
  const presses: ShopPress[] = [];
  const server = createServer((request, response) => void receive(request, response, secret, presses));
  await new Promise<void>((resolve) => server.listen(port, host === "" ? undefined : host, resolve));
  return {
    get url() {
      return urlOf(server);
    },
    presses,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function urlOf(server: Server): string {
  const { address, port } = server.address() as AddressInfo;
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}/actions`;
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  secret: string,
  presses: ShopPress[],
): Promise<void> {
  const body = (await readBody(request))?.toString("utf8") ?? "";
  if (!isSigned(secret, String(request.headers["x-im-signature"] ?? ""), body)) {
    response.writeHead(401).end();
    return;
  }
  const press = parse(body);
  if (!press) {
    response.writeHead(400).end();
    return;
  }
  presses.push(press);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ done: press.action, ref: press.card.ref, count: presses.length }));
}

function parse(body: string): ShopPress | undefined {
  try {
    const press = JSON.parse(body) as ShopPress;
    return press.type === "card.action" && typeof press.card.ref === "string" ? press : undefined;
  } catch {
    // Not JSON: answered 400.
    return undefined;
  }
}
