// SPDX-License-Identifier: Apache-2.0
// Raw TCP, with or without TLS. Node only: reached through the entry point node.ts, never from index.ts.
import { connect as connectTcp, type Socket as NetSocket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ClientCode, DisconnectCode } from "../codes.ts";
import { ImClientError } from "../errors.ts";
import type { Socket, Transport, TransportListener } from "./transport.ts";

/** How to check the server's certificate. */
export interface TlsOptions {
  /** PEM of the certificate authority; the system's own when absent. */
  ca?: string | Uint8Array;
  /** Name the certificate must carry, when it is not the host of the URL. */
  servername?: string;
}

const ALPN = "im/1";
/** A peer that vanished without FIN is noticed by PING; this only catches what PING cannot see while dialling. */
const KEEP_ALIVE_MS = 30_000;
const FLUSH_MS = 1_000;

/** TCP transport for `tls://host[:443]` and `tcp://host:port` (plain, for development). */
export function tcpTransport(tls: TlsOptions = {}): Transport {
  return (url, listener) => attach(dial(new URL(url), tls), listener, new URL(url).protocol === "tls:");
}

function dial(url: URL, tls: TlsOptions): NetSocket {
  // IPv6 hosts are bracketed in a URL and bare in a socket address.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (url.protocol === "tcp:" && url.port !== "") return connectTcp({ host, port: Number(url.port) });
  if (url.protocol !== "tls:" || host === "") {
    throw new ImClientError(DisconnectCode.PROTOCOL_ERROR, `${url.href}: want tls://host[:443] or tcp://host:port`);
  }
  const port = url.port === "" ? 443 : Number(url.port);
  const ca = tls.ca === undefined ? {} : { ca: typeof tls.ca === "string" ? tls.ca : Buffer.from(tls.ca) };
  const servername = tls.servername ?? (/^[\d.]+$|:/.test(host) ? undefined : host);
  const named = servername === undefined ? {} : { servername };
  return connectTls({ host, port, ALPNProtocols: [ALPN], minVersion: "TLSv1.3", ...ca, ...named });
}

function attach(socket: NetSocket, listener: TransportListener, isTls: boolean): Socket {
  let problem = "";
  let isClosed = false;
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  socket.once(isTls ? "secureConnect" : "connect", () => isClosed || listener.onOpen());
  socket.on("data", ({ buffer, byteOffset, length }: Buffer) => {
    // As a plain Uint8Array: what an application gets must not depend on the transport.
    if (!isClosed) listener.onData(new Uint8Array(buffer, byteOffset, length));
  });
  // Stays after close(): an error nobody hears would end the process.
  socket.on("error", (error: NodeJS.ErrnoException) => {
    problem = error.message || (error.code ?? "connection failed");
  });
  socket.once("close", () => isClosed || listener.onClose(ClientCode.CONNECTION_LOST, problem));
  return {
    send(bytes) {
      socket.write(bytes);
    },
    close() {
      isClosed = true;
      end(socket);
    },
  };
}

/** FIN after what was written; a peer that does not read any more cannot keep the socket. */
function end(socket: NetSocket): void {
  if (socket.connecting) {
    socket.destroy();
    return;
  }
  const timer = setTimeout(() => socket.destroy(), FLUSH_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.destroySoon();
}
