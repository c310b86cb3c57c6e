// SPDX-License-Identifier: Apache-2.0
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import type { Logger } from "#lib/logger.ts";
import { type TlsFiles, type TlsFilesWatch, watchTlsFiles } from "#lib/tls-files.ts";
import type { EntryMetrics } from "../metrics.ts";

/** ALPN of raw TCP frames. */
export const ALPN_FRAMES = "im/1";
const HANDSHAKE_TIMEOUT_MS = 5000;

/** Takes a socket that is ready to read; with `isFrames` its protocol is already agreed. */
export type OnSocket = (socket: Socket, isFrames: boolean) => void;

export interface ClientListener {
  server: Server;
  close(): void;
}

/** Options of {@link createTlsListener}. */
export interface TlsListenerOptions {
  /** Folder of tls.crt and tls.key; followed while it changes. */
  dir: string;
  reloadMs: number;
  maxSockets: number;
  log: Logger;
  metrics: EntryMetrics;
  onSocket: OnSocket;
}

/** TLS 1.3 for clients; certificates are exchanged while connections stay. @throws {ImError} without a usable pair */
export function createTlsListener(options: TlsListenerOptions): ClientListener {
  let server: TlsServer | undefined;
  const watch: TlsFilesWatch = watchTlsFiles(
    options.dir,
    (files) => {
      server?.setSecureContext(contextOf(files));
      options.log.info({ dir: options.dir }, "new TLS certificate in force");
    },
    {
      pollMs: options.reloadMs,
      onError: (err) => options.log.error({ err }, "new TLS certificate is not usable: the old one stays in force"),
    },
  );
  server = createTlsServer({
    ...contextOf(watch.current()),
    ALPNProtocols: [ALPN_FRAMES, "http/1.1"],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    noDelay: true,
  });
  server.maxConnections = options.maxSockets;
  server.on("secureConnection", (socket: TLSSocket) => options.onSocket(socket, socket.alpnProtocol === ALPN_FRAMES));
  server.on("tlsClientError", (_error, socket) => {
    options.metrics.handshakeFailed("tls");
    socket.destroy();
  });
  return { server, close: () => watch.close() };
}

function contextOf(files: TlsFiles): { cert: Buffer; key: Buffer; minVersion: "TLSv1.3" } {
  return { cert: files.cert, key: files.key, minVersion: "TLSv1.3" };
}

/** The same protocols without TLS: for development and benchmarks. */
export function createPlainListener(maxSockets: number, onSocket: OnSocket): ClientListener {
  const server = createTcpServer({ noDelay: true }, (socket) => onSocket(socket, false));
  server.maxConnections = maxSockets;
  return { server, close: () => undefined };
}
