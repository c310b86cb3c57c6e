// SPDX-License-Identifier: Apache-2.0
import { FakeClock } from "#lib/clock.ts";
import { ackWheelContract } from "./ack-wheel.contract.ts";
import { MemoryAckWheel } from "./ack-wheel-memory.ts";
import type { PushIntent } from "./offline.ts";

ackWheelContract("memory", async () => {
  const clock = new FakeClock();
  const intents: PushIntent[] = [];
  return {
    wheel: new MemoryAckWheel(clock, (intent) => void intents.push(intent)),
    elapse: async (ms) => clock.advance(ms),
    intents: async () => [...intents],
  };
});
