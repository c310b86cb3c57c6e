// SPDX-License-Identifier: Apache-2.0
// What an installation costs before anybody comes: the size of the image, how long each program takes from its start to its first 200 of
// /readyz with a warm compile cache, and the memory of each when nobody asks anything of it. The processes are the real ones, on a real
// PostgreSQL, Redis and kube-apiserver. Ends with one JSON line; exit code 1 when a target is missed.
import { loadavg } from "node:os";
import { startFleet } from "../e2e/harness/fleet.ts";
import { temporaryFolder } from "../e2e/harness/folders.ts";
import { bundlePrograms } from "../scripts/bundle/bundle.ts";
import { writeBundle } from "../scripts/bundle/write.ts";
import { buildImage } from "../scripts/cluster/image/image.ts";
import { imclusterSpec } from "../scripts/cluster/image/imcluster.ts";
import { silentProgress } from "../scripts/cluster/progress.ts";
import { envNumber, missedOf, progress, round1, withFleet } from "./bench-kit.ts";
import { OperatorProcess } from "./footprint/operator-process.ts";
import { type IdleFigures, idleFigures, type StartFigures, timeStarts } from "./footprint/service-figures.ts";
import { waitQuiet } from "./process-cpu.ts";

const ROUNDS = envNumber("IM_BENCH_ROUNDS", 5);
const IDLE_SECONDS = envNumber("IM_BENCH_IDLE_SECONDS", 45);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const MIB = 1 << 20;
const TARGETS = { imageMiB: 260, startMs: 1500, idleMiB: 90, operatorIdleMiB: 160 };

async function imageMiB(): Promise<number> {
  return Math.round(buildImage(await imclusterSpec({ progress: silentProgress })).bytes / MIB);
}

function checksOf(image: number, programs: Record<string, StartFigures & IdleFigures>) {
  const checks: Record<string, boolean> = { imageMiB: image <= TARGETS.imageMiB };
  for (const [name, { startMs, idleMiB: resident }] of Object.entries(programs)) {
    checks[`${name}.startMs`] = startMs <= TARGETS.startMs;
    checks[`${name}.idleMiB`] = resident <= (name === "operator" ? TARGETS.operatorIdleMiB : TARGETS.idleMiB);
  }
  return checks;
}

function idleOf(idle: readonly IdleFigures[], at: number): IdleFigures {
  return idle[at] ?? { idleMiB: Number.NaN, ownMiB: Number.NaN };
}

async function main(): Promise<boolean> {
  const image = await imageMiB();
  progress(`the image is ${image} MiB unpacked`);
  const build = temporaryFolder("imcluster-programs-");
  writeBundle(await bundlePrograms(), build);
  const fleet = await startFleet({ entries: 1, logics: 1, extlogics: 1, buildOf: () => build });
  return await withFleet(fleet, async () => {
    const operator = await OperatorProcess.open(fleet.dir, build);
    try {
      progress(`${await waitQuiet(QUIET_SECONDS)} cores are busy`);
      const services = [...fleet.processes, operator.service];
      const starts: [string, StartFigures][] = [];
      for (const service of services) {
        starts.push([service.name, await timeStarts(service, ROUNDS)]);
        progress(`${service.name}: ${JSON.stringify(starts.at(-1)?.[1])}`);
      }
      await fleet.waitMesh();
      const idle = await idleFigures(services, IDLE_SECONDS);
      const programs = Object.fromEntries(
        starts.map(([name, figures], at) => [name.replace(/-0$/, ""), { ...figures, ...idleOf(idle, at) }]),
      );
      const checks = checksOf(image, programs);
      const missed = missedOf(checks);
      const ok = missed.length === 0;
      const load = round1(loadavg()[0] ?? 0);
      console.log(
        JSON.stringify({
          bench: "footprint",
          ok,
          missed,
          targets: TARGETS,
          checks,
          imageMiB: image,
          ...programs,
          load,
        }),
      );
      return ok;
    } finally {
      await operator.close();
    }
  });
}

process.exitCode = (await main()) ? 0 : 1;
