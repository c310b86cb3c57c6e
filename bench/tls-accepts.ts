// SPDX-License-Identifier: Apache-2.0
import { connect, type TLSSocket } from "node:tls";
import { cpuSecondsBetween, cpuTimeOf } from "./process-cpu.ts";

/** A TLS server under measurement. */
export interface TlsServer {
  pid: number;
  port: number;
  ca: string;
  serverName: string;
}

const CONCURRENCY = 16;
const TIMEOUT_MS = 20_000;
const SESSION_WAIT_MS = 2000;

/** One handshake; with `session` it must be resumed. Resolves with the socket. @throws Error when it fails */
function handshake({ port, ca, serverName }: TlsServer, session: Buffer | undefined): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const resume = session ? { session } : {};
    const options = { port, host: "127.0.0.1", ca, servername: serverName, ALPNProtocols: ["im/1"], ...resume };
    const socket = connect(options);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error("no handshake in time")), TIMEOUT_MS);
    socket.once("error", fail);
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      if (session && !socket.isSessionReused()) fail(new Error("the session was not resumed"));
      else resolve(socket);
    });
  });
}

/** A ticket of the server. */
async function sessionOf(server: TlsServer): Promise<Buffer> {
  const socket = await handshake(server, undefined);
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no session ticket came")), SESSION_WAIT_MS);
      socket.once("session", (session: Buffer) => {
        clearTimeout(timer);
        resolve(session);
      });
    });
  } finally {
    socket.destroy();
  }
}

/** CPU of the server per handshake, µs, and handshakes per second with both ends on this machine. */
export async function measureAccepts(
  server: TlsServer,
  count: number,
  isResumed: boolean,
): Promise<{ cpuMicros: number; perSecond: number }> {
  const session = isResumed ? await sessionOf(server) : undefined;
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) (await handshake(server, session)).destroy();
  };
  const [before, startedMs] = [cpuTimeOf(server.pid), performance.now()];
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuSeconds = cpuSecondsBetween(before, cpuTimeOf(server.pid));
  return { cpuMicros: Math.round((cpuSeconds * 1e6) / count), perSecond: Math.round(count / seconds) };
}
