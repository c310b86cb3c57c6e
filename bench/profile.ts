// SPDX-License-Identifier: Apache-2.0
// `node bench/profile.ts FOLDER [count]`: where the processes of a profiled bench run spent their CPU, by own time.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

const IDLE = new Set(["(idle)", "(root)"]);

/** Own time per function, most expensive first; idle time is left out. */
export function ownTimes(profile: CpuProfile): { where: string; micros: number }[] {
  const byNode = new Map<number, number>();
  profile.samples.forEach((id, i) => {
    byNode.set(id, (byNode.get(id) ?? 0) + (profile.timeDeltas[i] ?? 0));
  });
  const byPlace = new Map<string, number>();
  for (const { id, callFrame } of profile.nodes) {
    if (IDLE.has(callFrame.functionName)) continue;
    const file = callFrame.url.replace(/^file:\/\/.*?\/(?=(gateway|logic|lib|proto|node_modules)\/)/, "");
    const place = `${callFrame.functionName || "(anonymous)"} ${file}${file ? `:${callFrame.lineNumber + 1}` : ""}`;
    byPlace.set(place, (byPlace.get(place) ?? 0) + (byNode.get(id) ?? 0));
  }
  return [...byPlace]
    .map(([where, micros]) => ({ where, micros }))
    .filter(({ micros }) => micros > 0)
    .sort((a, b) => b.micros - a.micros);
}

function main(folder: string, count: number): void {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".cpuprofile"))) {
    const times = ownTimes(JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile);
    const total = times.reduce((sum, { micros }) => sum + micros, 0);
    console.log(`${file}: ${(total / 1e6).toFixed(1)} s busy`);
    for (const { where, micros } of times.slice(0, count))
      console.log(`  ${((micros / total) * 100).toFixed(1).padStart(5)} %  ${where}`);
  }
}

if (import.meta.main) main(process.argv[2] ?? ".", Number(process.argv[3] ?? 40));
