// SPDX-License-Identifier: Apache-2.0
// The road of one message, as two clients see it: connect, log in, send, receive, acknowledge.
import { randomUUID } from "node:crypto";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { ImClient, MemoryStore, type Message } from "../client/src/node.ts";
import type { Step } from "./steps.ts";
import { type Role, subjectOf, type TokenOf } from "./tokens.ts";

export interface Target {
  /** `tls://host:port`, or `tcp://host:port` without TLS. */
  url: string;
  /** PEM of the authority; undefined: those of Node. */
  ca?: string | undefined;
  serverName?: string | undefined;
}

/** How long a message that was acknowledged is waited for, to see that it does not come again. */
const QUIET_MS = 1_000;

/** Dials as a client does and hangs up: says what is wrong with address, port or certificate, which the SDK only retries. */
function dial({ url, ca, serverName }: Target, signal: AbortSignal): Promise<Record<string, string>> {
  const { hostname: host, port, protocol } = new URL(url);
  return new Promise((resolve, reject) => {
    const at = { host, port: Number(port || 443) };
    const servername = serverName ?? host;
    const isTls = protocol === "tls:";
    const socket = isTls
      ? connectTls({ ...at, servername, minVersion: "TLSv1.2", ALPNProtocols: ["im/1"], ...(ca ? { ca } : {}) })
      : connectTcp(at);
    const abort = (): void => void socket.destroy(new Error("no answer"));
    signal.addEventListener("abort", abort, { once: true });
    socket.once("close", () => signal.removeEventListener("abort", abort));
    socket.once("error", reject);
    socket.once(isTls ? "secureConnect" : "connect", () => {
      resolve("getProtocol" in socket ? { tls: socket.getProtocol() ?? "" } : {});
      socket.destroy();
    });
  });
}

/** Two users, each with one device, and what came to the receiver. */
class Pair {
  readonly #target: Target;
  readonly #tokenOf: TokenOf;
  readonly #cursor = new MemoryStore();
  readonly #clients: ImClient[] = [];

  constructor(target: Target, tokenOf: TokenOf) {
    this.#target = target;
    this.#tokenOf = tokenOf;
  }

  open(role: Role, onMessage: (message: Message) => void = () => undefined): ImClient {
    const { url, ca, serverName } = this.#target;
    const client = new ImClient({
      url,
      tls: { ...(ca ? { ca } : {}), ...(serverName ? { servername: serverName } : {}) },
      deviceId: `probe-${role}`,
      platform: "desktop",
      getToken: () => this.#tokenOf(role),
      ...(role === "receiver" ? { store: this.#cursor, snapshot: true } : {}),
    });
    client.on("message", onMessage);
    this.#clients.push(client);
    client.connect();
    return client;
  }

  /** Everything up to here was handed over and saved. */
  get cursor(): number {
    return this.#cursor.load()?.cursor ?? 0;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }
}

/** Logged in, or why not: the SDK tries again by itself, so its last reason is told when time is up. */
async function loggedIn(client: ImClient, signal: AbortSignal): Promise<void> {
  let reason = "";
  client.on("state", (state) => {
    if ("reason" in state && state.reason !== "") reason = state.reason;
  });
  client.on("error", (error) => {
    reason = error.message;
  });
  try {
    await client.ready({ signal });
  } catch (cause) {
    throw new Error(reason || (cause instanceof Error ? cause.message : String(cause)), { cause });
  }
}

const REMEDY = {
  connect:
    "Does the Service have endpoints (kubectl get endpoints), does its certificate name this host (test.serverName), and do NetworkPolicies let this pod in?",
  login: "Does the token's key, issuer and audience fit spec.auth? kubectl im doctor tells more.",
  send: "Are logic pods ready, and PostgreSQL reachable? kubectl get imc -o wide; the conditions LogicReady and StoreReady.",
  deliver: "The message is stored, yet it was not pushed: look at the condition RouterReady and at logic's log.",
  ack: "The message came again after it was acknowledged: look at logic's log.",
} as const;

/** Steps over one pair of users; `close` ends their connections, however far the steps came. */
export function deliverySteps(target: Target, tokenOf: TokenOf): { steps: Step[]; close: () => Promise<void> } {
  const pair = new Pair(target, tokenOf);
  const text = `probe ${randomUUID()}`;
  const arrived = Promise.withResolvers<Message>();
  let sender: ImClient | undefined;
  let receiver: ImClient | undefined;
  let inboxSeq = 0;
  const steps: Step[] = [
    { name: "connect", remedy: REMEDY.connect, run: (signal) => dial(target, signal) },
    {
      name: "login",
      remedy: REMEDY.login,
      run: async (signal) => {
        sender = pair.open("sender");
        receiver = pair.open("receiver", (message) => message.text === text && arrived.resolve(message));
        await Promise.all([sender, receiver].map((client) => loggedIn(client, signal)));
        return receiver.state.kind === "open" ? { entry: receiver.state.entryId } : undefined;
      },
    },
    {
      name: "send",
      remedy: REMEDY.send,
      run: async (signal) => {
        const to = subjectOf(await tokenOf("receiver"));
        const stored = await sender?.send({ to, content: text, signal });
        return { messageId: stored?.messageId ?? "" };
      },
    },
    {
      name: "deliver",
      remedy: REMEDY.deliver,
      run: async (signal) => {
        const message = await until(arrived.promise, signal);
        inboxSeq = message.inboxSeq;
        return { inboxSeq };
      },
    },
    {
      name: "ack",
      remedy: REMEDY.ack,
      run: async (signal) => {
        await receiver?.close();
        if (pair.cursor < inboxSeq) throw new Error(`acknowledged up to ${pair.cursor} only, not ${inboxSeq}`);
        let again = 0;
        const next = pair.open("receiver", (message) => {
          if (message.inboxSeq <= inboxSeq) again++;
        });
        await loggedIn(next, signal);
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
        if (again > 0) throw new Error(`${again} acknowledged message(s) came again`);
        return { acknowledged: pair.cursor };
      },
    },
  ];
  return { steps, close: () => pair.close() };
}

function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error("aborted"));
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
