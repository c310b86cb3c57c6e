// SPDX-License-Identifier: Apache-2.0
import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import { WebSocket } from "ws";
import { hostPort } from "#lib/host-port.ts";
import { Command } from "#proto/commands.ts";
import { Envelope, ErrorInfo, Hello, Welcome } from "#proto/gen/messages.ts";
import { type DialPorts, messageOf, openTls, type Target, tlsOptions } from "./dial.ts";

export const CARRIERS = ["tcp", "ws", "http"] as const;
export type Carrier = (typeof CARRIERS)[number];

/** A class of its own for each carrier, so that logins one after the other do not replace each other. */
const PLATFORM: Readonly<Record<Carrier, string>> = { tcp: "android", ws: "web", http: "desktop" };
const MAX_ANSWER_BYTES = 1024 * 1024;

/** How a login ended. */
export type LoginOutcome =
  | { kind: "welcome"; entry: string; user: string; ms: number }
  /** An answer of the fleet all the same. */
  | { kind: "refused"; code: number; reason: string; ms: number }
  | { kind: "failed"; problem: string };

/** Logs in once by a carrier, as clients do, and leaves. */
export async function tryLogin(
  carrier: Carrier,
  target: Target,
  token: string,
  ports: DialPorts,
): Promise<LoginOutcome> {
  const startedMs = ports.clock.nowMs();
  const hello = helloFrame(carrier, token);
  try {
    const answer = await ANSWER_OF[carrier](target, hello, ports);
    const ms = ports.clock.nowMs() - startedMs;
    return { ...answer, ms };
  } catch (error) {
    return { kind: "failed", problem: messageOf(error) };
  }
}

type Answer = { kind: "welcome"; entry: string; user: string } | { kind: "refused"; code: number; reason: string };

const ANSWER_OF: Readonly<Record<Carrier, (target: Target, hello: Buffer, ports: DialPorts) => Promise<Answer>>> = {
  tcp: byTcp,
  ws: byWebSocket,
  http: byHttp,
};

/** A login frame. Its device is the same each time, so that nothing piles up. */
export function helloFrame(carrier: Carrier, token: string): Buffer {
  const device = { deviceId: `im-doctor-${carrier}`, deviceName: "kubectl im doctor", platform: PLATFORM[carrier] };
  const body = Hello.encode({ protoMin: 1, protoMax: 1, clientTimeMs: Date.now(), ...device, token });
  return framed(Envelope.encode({ cmd: Command.HELLO, rid: 1, body }));
}

/** An envelope as it travels. */
export function framed(envelope: Uint8Array): Buffer {
  return Buffer.concat([lengthPrefix(envelope.length), envelope]);
}

function lengthPrefix(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** The answer to HELLO among the frames that came so far; undefined while it is not complete. @throws on bytes that are no frames */
export function answerIn(bytes: Buffer): Answer | undefined {
  for (let at = 0; at < bytes.length; ) {
    const header = readLength(bytes, at);
    if (!header || header.from + header.length > bytes.length) return undefined;
    const { cmd, body } = Envelope.decode(bytes.subarray(header.from, header.from + header.length));
    if (cmd === Command.WELCOME) {
      const { entryId, userId } = Welcome.decode(body);
      return { kind: "welcome", entry: entryId, user: userId };
    }
    if (cmd === Command.ERROR) {
      const { code, reason } = ErrorInfo.decode(body);
      return { kind: "refused", code, reason };
    }
    at = header.from + header.length;
  }
  return undefined;
}

function readLength(bytes: Buffer, at: number): { from: number; length: number } | undefined {
  let length = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { from: at + i + 1, length };
  }
  throw new Error("what answers does not speak im/1");
}

/** Gathers an answer that comes in pieces. */
class Gathered {
  #bytes: Buffer = Buffer.alloc(0);

  add(chunk: Buffer): Answer | undefined {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length > MAX_ANSWER_BYTES) throw new Error("the answer does not end");
    return answerIn(this.#bytes);
  }
}

/** Runs `begin` until it settles; bounded, and ended by Ctrl-C. */
function bounded<T>(
  { clock, timeoutMs, signal }: DialPorts,
  begin: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let end = (): void => undefined;
    const settle = (finish: () => void): void => {
      cancel();
      signal.removeEventListener("abort", aborted);
      finish();
      end();
    };
    const aborted = (): void => settle(() => reject(new Error("interrupted")));
    const cancel = clock.after(timeoutMs, () => settle(() => reject(new Error(`no answer in ${timeoutMs} ms`))));
    signal.addEventListener("abort", aborted);
    end = begin(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
  });
}

async function byTcp(target: Target, hello: Buffer, ports: DialPorts): Promise<Answer> {
  const socket = await openTls(target, ["im/1"], ports);
  try {
    return await answerOn(socket, hello, ports);
  } finally {
    socket.destroy();
  }
}

/** Writes HELLO on a connection that is up; it stays open. */
export function answerOn(socket: TLSSocket, hello: Buffer, ports: DialPorts): Promise<Answer> {
  return bounded<Answer>(ports, (resolve, reject) => {
    const gathered = new Gathered();
    const onData = (chunk: Buffer): void => {
      try {
        const answer = gathered.add(chunk);
        if (answer) resolve(answer);
      } catch (error) {
        reject(error as Error);
      }
    };
    const onClose = (): void => reject(new Error("the connection was closed without an answer to the login"));
    socket.on("data", onData);
    socket.once("close", onClose);
    socket.write(hello);
    return () => {
      socket.off("data", onData);
      socket.off("close", onClose);
      // Whatever comes later is read and dropped.
      socket.resume();
    };
  });
}

function byWebSocket(target: Target, hello: Buffer, ports: DialPorts): Promise<Answer> {
  return bounded<Answer>(ports, (resolve, reject) => {
    const { host, port, ...tls } = tlsOptions(target);
    const headers = { host: hostPort(target.serverName, port) };
    const socket = new WebSocket(`wss://${hostPort(host, port)}/ws`, "im.v1", {
      ...tls,
      headers,
      perMessageDeflate: false,
    });
    const gathered = new Gathered();
    socket.on("open", () => socket.send(hello));
    socket.on("message", (data: Buffer) => {
      try {
        const answer = gathered.add(Buffer.from(data));
        if (answer) resolve(answer);
      } catch (error) {
        reject(error as Error);
      }
    });
    socket.on("error", reject);
    socket.on("close", (code, reason) => {
      if (code >= 4000) resolve({ kind: "refused", code, reason: reason.toString() });
      else reject(new Error(`the WebSocket was closed with ${code} before an answer to the login`));
    });
    return () => socket.terminate();
  });
}

/** By a poll: its answer is complete, so the whole way of a request is seen. */
function byHttp(target: Target, hello: Buffer, ports: DialPorts): Promise<Answer> {
  return bounded<Answer>(ports, (resolve, reject) => {
    const headers = {
      "content-type": "application/octet-stream",
      "content-length": hello.length,
      host: hostPort(target.serverName, target.port),
    };
    const sent = request(
      { ...tlsOptions(target), method: "POST", path: "/v1/poll", headers, agent: false },
      (response) => {
        const gathered = new Gathered();
        let answer: Answer | undefined;
        response.on("data", (chunk: Buffer) => {
          try {
            answer ??= response.statusCode === 200 ? gathered.add(chunk) : undefined;
          } catch (error) {
            reject(error as Error);
          }
        });
        response.on("error", reject);
        response.on("end", () => {
          const [, code, reason = ""] = /^(\d+) ?(.*)$/.exec(String(response.headers["im-close"] ?? "")) ?? [];
          if (answer) resolve(answer);
          else if (code) resolve({ kind: "refused", code: Number(code), reason });
          else reject(new Error(`POST /v1/poll was answered with ${response.statusCode}`));
        });
      },
    );
    sent.on("error", reject);
    sent.end(hello);
    return () => sent.destroy();
  });
}
