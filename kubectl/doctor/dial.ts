// SPDX-License-Identifier: Apache-2.0
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls, type PeerCertificate, type TLSSocket } from "node:tls";
import type { Clock } from "#lib/clock.ts";

/** Where clients connect. */
export interface Target {
  host: string;
  port: number;
  /** Name that the certificate must have. */
  serverName: string;
  /** PEM of the authority; undefined: those that everybody trusts. */
  ca: string | undefined;
  /** A connection whose certificate is not in order is refused: what goes over it is secret. Default false. */
  mustTrust?: boolean;
}

/** Limits of one step. */
export interface DialPorts {
  clock: Clock;
  timeoutMs: number;
  signal: AbortSignal;
}

export type DialFailure = { kind: "failed"; stage: "dns" | "tcp" | "tls"; problem: string };

/** What a handshake showed. */
export interface TlsFacts {
  kind: "ok";
  /** Addresses that the name leads to. */
  addresses: string[];
  /** Of the TCP handshake, then of TLS behind it. */
  connectMs: number;
  handshakeMs: number;
  protocol: string;
  cipher: string;
  /** Why the certificate is not to be trusted; empty when it is. */
  distrust: string;
  notAfterMs: number;
  names: string;
  issuer: string;
}

/** Name, TCP, TLS, one after the other: says which of them fails. */
export async function dialTls(target: Target, ports: DialPorts): Promise<TlsFacts | DialFailure> {
  const { clock } = ports;
  let addresses: string[];
  try {
    addresses = await addressesOf(target.host, ports);
  } catch (error) {
    return { kind: "failed", stage: "dns", problem: messageOf(error) };
  }
  const startedMs = clock.nowMs();
  let socket: Socket;
  try {
    socket = await settled(connectTcp({ host: target.host, port: target.port }), "connect", ports);
  } catch (error) {
    return { kind: "failed", stage: "tcp", problem: messageOf(error) };
  }
  const connectedMs = clock.nowMs();
  try {
    const secure = await settled(secured(target, ["im/1"], socket), "secureConnect", ports);
    const facts = factsOf(secure);
    const times = { connectMs: connectedMs - startedMs, handshakeMs: clock.nowMs() - connectedMs };
    secure.destroy();
    return { kind: "ok", addresses, ...times, ...facts };
  } catch (error) {
    return { kind: "failed", stage: "tls", problem: messageOf(error) };
  } finally {
    socket.destroy();
  }
}

/** The resolver has no end of its own. */
async function addressesOf(host: string, { clock, timeoutMs }: DialPorts): Promise<string[]> {
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(timeoutMs, () => late.reject(new Error(`the resolver did not answer in ${timeoutMs} ms`)));
  try {
    const found = await Promise.race([lookup(host, { all: true }), late.promise]);
    return found.map(({ address }) => address);
  } finally {
    cancel();
  }
}

/** A TLS connection that is up, verified when the target must be trusted. */
export async function openTls(target: Target, alpn: readonly string[], ports: DialPorts): Promise<TLSSocket> {
  return await settled(secured(target, alpn), "secureConnect", ports);
}

function secured(target: Target, alpn: readonly string[], socket?: Socket): TLSSocket {
  // On a socket that is connected the host is only what the certificate is compared with.
  const over = socket ? { socket, host: target.serverName } : {};
  return connectTls({ ...tlsOptions(target), ...over, ALPNProtocols: [...alpn] });
}

/** Of one TLS connection. Where nothing secret is said a wrong certificate must not hide what else is wrong: {@link dialTls} judges it. */
export function tlsOptions({ host, port, serverName, ca, mustTrust = false }: Target) {
  return {
    host,
    port,
    ...(ca === undefined ? {} : { ca }),
    // An address is no name for SNI, and is compared with the certificate all the same.
    ...(isIP(serverName) ? {} : { servername: serverName }),
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkServerIdentity(serverName, certificate),
    rejectUnauthorized: mustTrust,
  };
}

function factsOf(socket: TLSSocket): Omit<TlsFacts, "kind" | "addresses" | "connectMs" | "handshakeMs"> {
  const certificate = socket.getPeerCertificate();
  const error = socket.authorizationError as (Error & { code?: string }) | string | null;
  const distrust = typeof error === "string" ? error : (error?.code ?? error?.message ?? "");
  return {
    protocol: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher().name,
    distrust: socket.authorized ? "" : distrust,
    notAfterMs: Date.parse(certificate.valid_to),
    names: (certificate.subjectaltname ?? "").replaceAll(/(DNS|IP Address):/g, ""),
    issuer: [certificate.issuer?.CN].flat()[0] ?? "",
  };
}

/** Resolves with the socket at `event`; destroys it and rejects on a fault, too late, or on Ctrl-C. */
export function settled<T extends Socket>(
  socket: T,
  event: string,
  { clock, timeoutMs, signal }: DialPorts,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", aborted);
      socket.off("error", fail);
      // Later faults are those of whoever uses it.
      socket.on("error", () => undefined);
    };
    const fail = (error: Error): void => {
      done();
      socket.destroy();
      reject(error);
    };
    const aborted = (): void => fail(new Error("interrupted"));
    const cancel = clock.after(timeoutMs, () => fail(new Error(`no answer in ${timeoutMs} ms`)));
    signal.addEventListener("abort", aborted);
    socket.once("error", fail);
    socket.once("close", () => fail(new Error("the connection was closed")));
    socket.once(event, () => {
      done();
      resolve(socket);
    });
    if (signal.aborted) aborted();
  });
}

export function messageOf(error: unknown): string {
  // A host with several addresses fails with one error for each.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
