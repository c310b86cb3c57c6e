// SPDX-License-Identifier: Apache-2.0
// For clients that must get through when the address they know does not: other addresses of the fleet, as its entries list them.
// Not part of the core: `import { endpointTransport } from "@imcluster/client/endpoints"`.
import { systemClock } from "./clock.ts";
import { type BrowserTransportOptions, browserTransport } from "./transport/choose.ts";
import type { FetchLike } from "./transport/http.ts";
import type { Transport } from "./transport/transport.ts";

/** One public address of the fleet. */
export interface Endpoint {
  /** Lower ones first. */
  rank: number;
  /** direct, list or balancer; a newer server may know more. */
  kind: string;
  /** `host:port`. */
  address: string;
  /** Share among those of its rank. */
  weight: number;
}

/** Answer of `GET /v1/endpoints`. */
export interface EndpointList {
  /** For this long it need not be asked for again. */
  ttlMs: number;
  /** In any order: `rank` and `weight` say which to dial. */
  endpoints: Endpoint[];
}

/** Options of {@link endpointTransport}. */
export interface EndpointTransportOptions extends BrowserTransportOptions {
  /** Makes the transport to one address: each remembers what works there. Default: {@link browserTransport}. */
  transport?: () => Transport;
  /** A list that was kept: the one that counts is the one of a day when nothing else can be reached. */
  initial?: EndpointList;
  /** A new list came: keep it. */
  onList?(list: EndpointList): void;
  /** A list could not be had; it is asked for again later. Default: nothing, for the client works without. */
  onFault?(error: unknown): void;
  /** Uniform in [0, 1). */
  random?: () => number;
}

const MAX_ENDPOINTS = 64;
const MAX_WEIGHT = 1000;
const FETCH_TIMEOUT_MS = 10_000;
/** The list is not asked for more often, whatever it says. */
const MIN_TTL_MS = 60_000;
const MAX_TTL_MS = 24 * 3_600_000;
/** Attempts that came to nothing before another address is tried. */
const MAX_FAILURES = 2;
/** What ends sooner came to nothing: nobody answered, or an entry that is full or leaves. */
const SHORT_MS = 5_000;
/** An address that failed is left alone for this long. */
const AVOID_MS = 10 * 60_000;
const MAX_HINTS = 8;
/** A hint is of now: an entry that asked leaves within this. */
const HINT_MS = 10 * 60_000;

const URL_PARTS = /^([a-z]+):\/\/([^/?#]+)(.*)$/;
const ADDRESS = /^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):\d{1,5}$/;

/**
 * Asks the fleet behind `url` (of any scheme that a client takes) for its addresses.
 * @throws on faults of the network, another status than 200, and an answer that is no list
 */
export async function fetchEndpoints(url: string, request: FetchLike = fetch): Promise<EndpointList> {
  const [, scheme = "", host] = URL_PARTS.exec(url) ?? [];
  if (!host) throw new TypeError(`${url} is no URL of an entry`);
  const secure = /^(https|wss|tls)$/.test(scheme) ? "s" : "";
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const response = await request(`http${secure}://${host}/v1/endpoints`, { signal });
  if (response.status !== 200) throw new Error(`the list of endpoints: HTTP ${response.status}`);
  return readList(await response.json());
}

/** What is of use in an answer: nothing but addresses goes into URLs. @throws TypeError when nothing is */
function readList(answer: unknown): EndpointList {
  const { ttlMs, endpoints } = (answer ?? {}) as Partial<EndpointList>;
  if (!Array.isArray(endpoints)) throw new TypeError("the list of endpoints is none");
  return {
    ttlMs: clamp(ttlMs, MIN_TTL_MS, MAX_TTL_MS),
    endpoints: endpoints
      .filter((one: Partial<Endpoint> | null) => ADDRESS.test(String(one?.address)))
      .slice(0, MAX_ENDPOINTS)
      .map(({ rank, kind, address, weight }: Endpoint) => ({
        ...{ rank: clamp(rank, 1, MAX_ENDPOINTS), kind: String(kind), address },
        weight: clamp(weight, 1, MAX_WEIGHT),
      })),
  };
}

function clamp(value: unknown, min: number, max: number): number {
  return typeof value === "number" && value >= min ? Math.min(value, max) : min;
}

/** Addresses by rank; within a rank by lot, so that the crowd of clients spreads by weight. */
export function orderEndpoints(endpoints: readonly Endpoint[], random: () => number): string[] {
  // Efraimidis and Spirakis: the largest of these numbers is the one of an item with the probability of its weight.
  const keyed = endpoints.map(({ rank, address, weight }) => ({ rank, address, key: random() ** (1 / weight) }));
  keyed.sort((a, b) => a.rank - b.rank || b.key - a.key);
  return [...new Set(keyed.map(({ address }) => address))];
}

/**
 * Dials the best address of the fleet that answers. The list comes from the fleet itself, beside the first connection and again when it is
 * out of date; until there is one, and after everything on it, the URL of the client is dialled. Two attempts that ended
 * within five seconds, and an address is left alone for ten minutes. Addresses that a leaving entry names come before all of these, once
 * each. The scheme and the path stay those of the client's URL; the
 * certificate must name the address.
 */
export function endpointTransport(options: EndpointTransportOptions = {}): Transport {
  const { clock = systemClock, random = Math.random, fetch: request } = options;
  const make = options.transport ?? (() => browserTransport(options));
  const transports = new Map<string, Transport>();
  const failures = new Map<string, number>();
  const avoidUntilMs = new Map<string, number>();
  let order: string[] = [];
  /** Named by an entry that leaves: each is dialled once, before all others. */
  let hints: readonly string[] = [];
  let hintsUntilMs = 0;
  /** Of the client's URL. */
  let own = "";
  let askAtMs = 0;

  /** Forgets what was learned of addresses that are on no list any more. */
  const tidy = (): void => {
    const known = new Set([own, ...order, ...hints]);
    for (const map of [transports, failures, avoidUntilMs])
      for (const address of map.keys()) if (!known.has(address)) map.delete(address);
  };
  const take = (list: EndpointList): void => {
    order = orderEndpoints(list.endpoints, random);
    tidy();
  };
  if (options.initial) take(readList(options.initial));

  const refresh = (url: string): void => {
    if (clock.nowMs() < askAtMs) return;
    // Also when it fails: the next one may try after that.
    askAtMs = clock.nowMs() + MIN_TTL_MS;
    fetchEndpoints(url, request).then(
      (list) => {
        askAtMs = clock.nowMs() + list.ttlMs;
        take(list);
        options.onList?.(list);
      },
      (error: unknown) => options.onFault?.(error),
    );
  };

  /** A hint, while it is fresh and not known to fail. */
  const hinted = (): string | undefined => {
    const mayBe = (address: string): boolean => (avoidUntilMs.get(address) ?? 0) <= clock.nowMs();
    const [first, ...rest] = clock.nowMs() < hintsUntilMs ? hints.filter(mayBe) : [];
    hints = rest;
    return first;
  };

  /** The first that may be dialled, the client's own last; when all failed, all are tried anew. */
  const choose = (): string => {
    const hint = hinted();
    if (hint !== undefined) return hint;
    const all = order.includes(own) ? order : [...order, own];
    const chosen = all.find((address) => (avoidUntilMs.get(address) ?? 0) <= clock.nowMs());
    if (chosen !== undefined) return chosen;
    avoidUntilMs.clear();
    return all[0] ?? own;
  };

  const settle = (address: string, works: boolean): void => {
    const count = works ? 0 : (failures.get(address) ?? 0) + 1;
    failures.set(address, count % MAX_FAILURES);
    if (works) avoidUntilMs.delete(address);
    else if (count >= MAX_FAILURES) avoidUntilMs.set(address, clock.nowMs() + AVOID_MS);
  };

  const dial: Transport = (url, listener) => {
    const [, scheme, host = "", path] = URL_PARTS.exec(url) ?? [];
    own = withPort(host, scheme);
    const address = choose();
    const target = address === own ? url : `${scheme}://${address}${path}`;
    const transport = transports.get(address) ?? make();
    transports.set(address, transport);
    const dialledMs = clock.nowMs();
    let hasBytes = false;
    let isEnded = false;
    const ended = (): void => {
      if (!isEnded) settle(address, hasBytes && clock.nowMs() - dialledMs >= SHORT_MS);
      isEnded = true;
    };
    if (order.length === 0) refresh(url);
    const socket = transport(target, {
      ...listener,
      onData(bytes) {
        // From the one that works.
        if (!hasBytes) refresh(target);
        hasBytes = true;
        hints = [];
        listener.onData(bytes);
      },
      onClose(code, reason) {
        ended();
        listener.onClose(code, reason);
      },
    });
    return {
      ...socket,
      close() {
        ended();
        socket.close();
      },
    };
  };
  const prefer = (addresses: readonly string[]): void => {
    hints = addresses.filter((address) => ADDRESS.test(address)).slice(0, MAX_HINTS);
    hintsUntilMs = clock.nowMs() + HINT_MS;
    tidy();
  };
  return Object.assign(dial, { prefer });
}

/** The address of a URL's host, as it is on lists. */
function withPort(host: string, scheme: string | undefined): string {
  if (/:\d+$/.test(host)) return host;
  return `${host}:${scheme === "ws" || scheme === "http" ? 80 : 443}`;
}
