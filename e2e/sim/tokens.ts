// SPDX-License-Identifier: Apache-2.0
import type { TokenVerdict } from "../../logic/token/verify.ts";
import type { World } from "./world.ts";

const DAY_MS = 86_400_000;

/** A token of the simulation: who, and when it was issued. Signatures are other tests' business. */
export function simToken(world: World, userId: string): string {
  return `${userId}|${world.kernel.wallMs}`;
}

/** Takes a moment, as reading a key does. */
export async function verifySimToken(world: World, token: string): Promise<TokenVerdict> {
  await world.kernel.sleep(0, world.kernel.current);
  const [userId = "", issuedAtMs] = token.split("|");
  const atMs = Number(issuedAtMs);
  return { kind: "ok", userId, tokenId: token, issuedAtMs: atMs, expiresAtMs: atMs + DAY_MS };
}
