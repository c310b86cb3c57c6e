// SPDX-License-Identifier: Apache-2.0
import { addressOf, parseEndpoint } from "#lib/endpoint.ts";
import { ANNOTATION } from "./names.ts";
import { isActive, type ObservedEntry } from "./observed.ts";

/** Addresses told to a draining entry. */
const MAX_HINTS = 8;

/**
 * Where clients that are asked to move go best: addresses of entries that take connections, the emptiest first. Empty where entries
 * have no addresses of their own, as behind a plain load balancer. Pure.
 */
export function endpointHint(entries: readonly ObservedEntry[]): string[] {
  const receivers = entries.flatMap((entry) => {
    const address = ownAddress(entry);
    const { probe, isReady } = entry;
    if (address === undefined || !probe || probe.cordoned || !isReady || !isActive(entry)) return [];
    return [{ address, connections: probe.connections }];
  });
  receivers.sort((a, b) => a.connections - b.connections);
  return [...new Set(receivers.map(({ address }) => address))].slice(0, MAX_HINTS);
}

/** `undefined` when it has none, or what is there is no address. */
function ownAddress({ pod }: ObservedEntry): string | undefined {
  const text = pod.metadata.annotations?.[ANNOTATION.address];
  const endpoint = text === undefined ? undefined : parseEndpoint(`direct=${text}`);
  return endpoint && addressOf(endpoint);
}
