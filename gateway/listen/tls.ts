// SPDX-License-Identifier: Apache-2.0
import { constants, X509Certificate } from "node:crypto";
import type { Server, Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import { type TlsFiles, type TlsFilesWatch, watchTlsFiles } from "#lib/tls-files.ts";
import type { EntryMetrics } from "../metrics.ts";
import { setClientAddress } from "../session/client-address.ts";
import { awaitFirstBytes, type FirstBytesTarget } from "./first-bytes.ts";
import type { Front } from "./front.ts";
import { TicketKeys } from "./tickets.ts";
import { ToldAddresses } from "./told-addresses.ts";

/** ALPN of raw TCP frames. */
export const ALPN_FRAMES = "im/1";
const HANDSHAKE_TIMEOUT_MS = 5000;

/** Takes a socket that is ready to read; with `isFrames` its protocol is already agreed. */
export type OnSocket = (socket: Socket, isFrames: boolean) => void;

export interface ClientListener {
  server: Server;
  /** The secret of session tickets changed. */
  refreshTickets?(): void;
  close(): void;
}

/** Options of {@link createTlsListener}. */
export interface TlsListenerOptions {
  /** Folder of tls.crt and tls.key; followed while it changes. */
  dir: string;
  reloadMs: number;
  minVersion: "TLSv1.2" | "TLSv1.3";
  /** Shared by the entries of a cluster: whoever moves from one to another resumes its TLS session. */
  ticketSecret(): Uint8Array;
  clock: Clock;
  front: Front;
  maxSockets: number;
  log: Logger;
  metrics: EntryMetrics;
  onSocket: OnSocket;
}

/**
 * Ciphers that authenticate what they encrypt, with a fresh key for each connection. node's own list also has CBC ones for
 * TLS 1.2, whose padding has been an oracle more than once.
 */
const CIPHERS = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** Sessions are resumed where this is the same; by default it is made of the arguments of the process. */
const SESSION_CONTEXT = "imcluster";

/** End of the certificate itself, wall clock ms: those it is signed by outlive it. */
function expiryOf({ cert }: TlsFiles): number {
  return new X509Certificate(cert).validToDate.getTime();
}

/** TLS for clients; certificates are exchanged while connections stay. @throws {ImError} without a usable pair */
export function createTlsListener(options: TlsListenerOptions): ClientListener {
  const { clock, minVersion, ticketSecret } = options;
  let tls: TlsServer | undefined;
  const tickets = new TicketKeys({ clock, secret: ticketSecret, onChange: (keys) => tls?.setTicketKeys(keys) });
  const contextOf = ({ cert, key }: TlsFiles) => ({
    ...{ cert, key, minVersion },
    ciphers: CIPHERS,
    // Of TLS 1.2 only: nobody needs it, and each one costs us ten times what it costs the client.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionIdContext: SESSION_CONTEXT,
    ticketKeys: tickets.current,
  });
  const watch: TlsFilesWatch = watchTlsFiles(
    options.dir,
    (files) => {
      // Forgets the ticket keys unless it is told them again.
      tls?.setSecureContext(contextOf(files));
      options.metrics.certificate(expiryOf(files));
      options.log.info({ dir: options.dir }, "new TLS certificate in force");
    },
    {
      pollMs: options.reloadMs,
      onError: (err) => options.log.error({ err }, "new TLS certificate is not usable: the old one stays in force"),
    },
  );
  options.metrics.certificate(expiryOf(watch.current()));
  // It never listens: sockets come from the front.
  const tlsServer = createTlsServer({
    ...contextOf(watch.current()),
    ALPNProtocols: [ALPN_FRAMES, "http/1.1"],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  tls = tlsServer;
  const told = new ToldAddresses();
  tlsServer.on("secureConnection", (socket: TLSSocket) => {
    const address = told.of(socket);
    if (address !== undefined) setClientAddress(socket, address);
    options.onSocket(socket, socket.alpnProtocol === ALPN_FRAMES);
  });
  tlsServer.on("tlsClientError", (_error, socket) => {
    options.metrics.handshakeFailed("tls");
    socket.destroy();
  });
  const hello: FirstBytesTarget = {
    onBytes: (socket) => tlsServer.emit("connection", socket),
    onNothing: (socket) => {
      options.metrics.handshakeFailed("tls");
      socket.destroy();
    },
  };
  const server = options.front.createServer(options.maxSockets, (socket, address) => {
    if (address !== undefined) told.add(socket, address);
    if (socket.readableLength > 0) hello.onBytes(socket);
    else awaitFirstBytes(socket, clock, HANDSHAKE_TIMEOUT_MS, hello);
  });
  const close = (): void => {
    watch.close();
    tickets.close();
  };
  return { server, refreshTickets: () => tickets.refresh(), close };
}

/** The same protocols without TLS: for development and benchmarks. */
export function createPlainListener(front: Front, maxSockets: number, onSocket: OnSocket): ClientListener {
  const server = front.createServer(maxSockets, (socket, address) => {
    if (address !== undefined) setClientAddress(socket, address);
    onSocket(socket, false);
    socket.resume();
  });
  return { server, close: () => undefined };
}
