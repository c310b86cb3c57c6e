// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { parseArgs } from "node:util";
import { ClusterFault, describeFault } from "./fault.ts";

describe("describeFault", () => {
  it("tells what happened and what to do", () => {
    assert.equal(describeFault(new ClusterFault("no root", "run it with sudo")), "no root\nrun it with sudo");
  });

  it("tells of an option that is none in one sentence, without where it was read", () => {
    const read = (): unknown => parseArgs({ args: ["--contxt=a"], options: { context: { type: "string" } } });
    assert.throws(read, (error) => {
      assert.match(describeFault(error), /^Unknown option '--contxt'[^\n]*\n`make help` lists/);
      return true;
    });
  });

  it("tells of a folder that cannot be written in one sentence, with what to do", () => {
    const errno = (code: string, path?: string): Error => Object.assign(new Error(`${code}: x, open`), { code, path });
    const cases = [
      [errno("EROFS", "/c/dev"), "/c/dev cannot be written: it is read-only."],
      [errno("EACCES", "/c/dev"), "/c/dev cannot be written: this user may not."],
      [
        Object.assign(errno("ENOENT", "/c/dev"), { syscall: "mkdir" }),
        "/c/dev cannot be written: the folder cannot be made there.",
      ],
      [errno("ENOSPC"), "A file cannot be written: no space is left."],
      [
        new Error("broke off", { cause: errno("ENOTDIR", "/c/dev") }),
        "/c/dev cannot be written: a part of it is a file.",
      ],
      [errno("EEXIST", "/c/dev"), "/c/dev cannot be written: something else is there."],
      [
        new ClusterFault("`tar` failed: write error: No space left on device", "again"),
        "A file cannot be written: no space is left.",
      ],
    ] as const;
    for (const [thrown, told] of cases) {
      const [first, second, ...rest] = describeFault(thrown).split("\n");
      assert.deepEqual([first, rest], [told, []]);
      assert.match(second ?? "", /IMCLUSTER_CACHE=/);
    }
    // A socket is no folder.
    assert.match(describeFault(Object.assign(new Error("listen EACCES"), { code: "EACCES" })), /^Error: listen EACCES/);
  });

  it("tells of a program that is missing in one sentence, whoever wanted it", async () => {
    const spawned = await new Promise<Error>((resolve) => spawn("im-no-such-program").once("error", resolve));
    for (const thrown of [spawned, new Error("cannot start postgres", { cause: spawned })])
      assert.equal(
        describeFault(thrown),
        "im-no-such-program is not installed, or not on the PATH.\nInstall it, then start again.",
      );
  });

  it("tells of any other error where it came from, and why, to the first cause", () => {
    const first = new Error("connection refused");
    const text = describeFault(new Error("broke off", { cause: new Error("no cluster", { cause: first }) }));
    assert.match(text, /^Error: broke off\n\s+at .*fault\.test\.ts/);
    assert.match(text, /because of Error: no cluster\n[\s\S]*because of Error: connection refused\n/);
    assert.equal(describeFault("text"), "text");
  });
});
