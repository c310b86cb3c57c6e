// SPDX-License-Identifier: Apache-2.0
// The charts as they are published: packed, signed, pushed to an OCI registry, pulled from it and rendered.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePort } from "../e2e/harness/ports.ts";
import { type GuardedProcess, startProcess, waitUntil } from "../e2e/harness/processes.ts";
import { run } from "../scripts/cluster/command.ts";
import { silentProgress } from "../scripts/cluster/progress.ts";
import { ensureBinaries } from "../scripts/cluster/toolchain.ts";
import { packageCharts } from "../scripts/package/charts.ts";
import { publishCharts } from "../scripts/package/publish.ts";
import { CHART_NAMES, helmOk } from "./testing/helm.ts";

const KEY = "ImCluster charts test";
const READY_MS = 60_000;

describe("the packed charts", () => {
  const folder = mkdtempSync(join(tmpdir(), "im-charts-"));
  const inside = (name: string): string => join(folder, name);
  const keyrings = { secret: inside("secret.gpg"), public: inside("public.gpg") };
  /** Nothing of the machine's own settings of helm and gpg is read or written. */
  const env = {
    GNUPGHOME: inside("gnupg"),
    HELM_CACHE_HOME: inside("cache"),
    HELM_CONFIG_HOME: inside("config"),
    HELM_DATA_HOME: inside("data"),
  };
  let registry: GuardedProcess | undefined;
  let url = "";
  let archives: string[] = [];

  const gpg = (...args: string[]): Promise<unknown> =>
    run("gpg", ["--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", ...args], {
      env,
      timeoutMs: READY_MS,
    });

  before(async () => {
    mkdirSync(env.GNUPGHOME, { mode: 0o700 });
    await gpg("--quick-gen-key", KEY, "rsa3072", "sign", "1d");
    await gpg("--output", keyrings.secret, "--export-secret-keys");
    await gpg("--output", keyrings.public, "--export");
    archives = await packageCharts(folder, { progress: silentProgress }, { key: KEY, keyring: keyrings.secret });
    const { crane = "" } = await ensureBinaries(["crane"], { progress: silentProgress });
    const port = await freePort();
    const args = ["registry", "serve", "--address", `127.0.0.1:${port}`];
    registry = await startProcess({ name: "registry", command: crane, args, cwd: folder });
    const isUp = async (): Promise<boolean> =>
      (await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined))?.ok === true;
    await waitUntil("the registry answers", isUp, READY_MS);
    url = `oci://127.0.0.1:${port}/charts`;
  });
  after(async () => {
    await registry?.stop("SIGKILL");
    // The agent that gpg started for this folder.
    await run("gpgconf", ["--kill", "all"], { env, mayFail: true });
    rmSync(folder, { recursive: true, force: true });
  });

  it("hold what an installation needs and no test", async () => {
    for (const archive of archives) {
      const { stdout } = await run("tar", ["-tzf", archive]);
      const chart = basename(archive).replace(/-\d.*$/, "");
      for (const file of ["Chart.yaml", "README.md", "values.yaml", "values.schema.json", "templates/NOTES.txt"])
        assert.ok(stdout.includes(`${chart}/${file}\n`), `${chart}: ${file}`);
      assert.doesNotMatch(stdout, /[.]test[.]ts|\/ci\//);
    }
  });

  it("are signed, and an altered one is noticed", async () => {
    for (const archive of archives)
      assert.match(
        await helmOk(["verify", archive, "--keyring", keyrings.public], env),
        /Signed by: ImCluster charts test/,
      );
    const [archive = ""] = archives;
    const altered = inside(`altered/${basename(archive)}`);
    mkdirSync(inside("altered"));
    writeFileSync(altered, Buffer.concat([readFileSync(archive), Buffer.of(0)]));
    writeFileSync(`${altered}.prov`, readFileSync(`${archive}.prov`));
    await assert.rejects(helmOk(["verify", altered, "--keyring", keyrings.public], env), /sha256 sum does not match/);
  });

  it("are pushed to an OCI registry, pulled with their signature, and render as they do from here", async () => {
    const places = await publishCharts(archives, { url, plainHttp: true, env }, { progress: silentProgress });
    assert.equal(places.length, archives.length);
    const pulled = inside("pulled");
    mkdirSync(pulled);
    for (const name of CHART_NAMES) {
      const verified = ["--verify", "--keyring", keyrings.public];
      await helmOk(["pull", `${url}/${name}`, "--plain-http", "--destination", pulled, ...verified], env);
    }
    const files = readdirSync(pulled).filter((name) => name.endsWith(".tgz"));
    assert.deepEqual(files.sort(), archives.map((path) => basename(path)).sort());
    for (const archive of archives) {
      const copy = join(pulled, basename(archive));
      assert.deepEqual(readFileSync(copy), readFileSync(archive));
      const chart = basename(archive).replace(/-\d.*$/, "");
      const here = await helmOk(["template", "test", join(import.meta.dirname, chart)], env);
      assert.equal(await helmOk(["template", "test", copy], env), here);
    }
  });

  it("are never pushed over what is there, and not where nobody answers", async () => {
    const context = { progress: silentProgress };
    const [operator = "", cluster = ""] = archives;
    await assert.rejects(publishCharts([operator], { url, plainHttp: true, env }, context), /is published already/);
    // One of them is there: neither is pushed.
    const apart = `${url}/apart`;
    await publishCharts([cluster], { url: apart, plainHttp: true, env }, context);
    await assert.rejects(
      publishCharts(archives, { url: apart, plainHttp: true, env }, context),
      /im-cluster:.* already/,
    );
    await publishCharts([operator], { url: apart, plainHttp: true, env }, context);
    const nobody = `oci://127.0.0.1:${await freePort()}/charts`;
    await assert.rejects(publishCharts(archives, { url: nobody, plainHttp: true, env }, context), /it is not known/);
  });
});
