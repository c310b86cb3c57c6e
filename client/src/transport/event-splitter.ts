// SPDX-License-Identifier: Apache-2.0

/** Base64 of the largest write of an entry, with room to spare. */
const MAX_EVENT_CHARS = 1024 * 1024;
const EVENT = /^(?:event: (\w+)\n)?data: (.*)$/;

/**
 * Takes the bytes of a `text/event-stream` as an entry writes it, split anywhere, and gives its events: a name or none, and
 * one line of data. What it returns throws for an event that never ends.
 */
export function eventSplitter(onEvent: (name: string | undefined, data: string) => void): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder();
  let rest = "";
  return (chunk) => {
    const events = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    if (rest.length > MAX_EVENT_CHARS) throw new Error("too large");
    for (const event of events) {
      const found = EVENT.exec(event);
      if (found) onEvent(found[1], found[2] as string);
    }
  };
}
