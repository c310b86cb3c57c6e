// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseCommandLine } from "./command-line.ts";
import { COMMANDS } from "./commands.ts";
import { CliFault, EXIT } from "./fault.ts";

const parse = (line: string) => parseCommandLine(line === "" ? [] : line.split(" "));

describe("a command line", () => {
  it("is a command, its words and its flags, in any order", () => {
    for (const line of [
      "logs demo -n shop --since 10m -f -o json",
      "-n shop -o json logs -f --since=10m demo",
      "--namespace=shop logs --follow demo --since 10m --output json",
    ]) {
      const { command, words, flags } = parse(line);
      assert.deepEqual([command.name, words], ["logs", ["demo"]], line);
      assert.equal(flags.text("namespace"), "shop");
      assert.equal(flags.output, "json");
      assert.ok(flags.isSet("follow") && !flags.isSet("help"));
      assert.equal(flags.ms("since"), 600_000);
    }
    const { command, words, flags } = parse("install generate -n im");
    assert.deepEqual([command.name, words, flags.output], ["install generate", [], "text"]);
  });

  it("without a command, or with -h, asks for help", () => {
    assert.deepEqual([parse("").command.name, parse("").words], ["help", []]);
    assert.deepEqual([parse("-h").command.name, parse("--help").words], ["help", []]);
    assert.deepEqual(
      [parse("install generate -h").command.name, parse("install generate -h").words],
      ["help", ["install", "generate"]],
    );
    assert.deepEqual(parse("status --help").words, ["status"]);
    assert.deepEqual(parse("help status").words, ["status"]);
  });

  const wrong: [string, RegExp, string?][] = [
    ["stauts", /there is no command "stauts": did you mean status\?/],
    ["frobnicate", /^there is no command "frobnicate"$/],
    ["install", /^write install generate$/],
    ["install remove", /there is no command "install remove": write install generate/],
    ["status a b", /status: "b" is one word too many/, "status"],
    ["status --frob", /status: Unknown option '--frob'/, "status"],
    ["status --since 10m", /status: Unknown option '--since'/, "status"],
    ["status -n", /status: Option '-n, --namespace <value>' argument missing/, "status"],
    ["status -o xml", /--output takes text, json or yaml, not "xml"/, "status"],
    ["status --color blue", /--color takes auto, always or never, not "blue"/, "status"],
    ["status --help=yes", /status: Option '-h, --help' does not take an argument/, "status"],
    ["route", /route needs USER/, "route"],
    ["kick", /kick needs USER/, "kick"],
    ["trace", /trace needs MESSAGE/, "trace"],
    ["completion", /completion needs SHELL/, "completion"],
    ["completion tcsh", /SHELL is bash, zsh or fish, not "tcsh"/, "completion"],
    ["logs --level loud", /--level takes debug, info, warn or error, not "loud"/, "logs"],
    ["logs --component web", /--component takes entry, .* or migrate, not "web"/, "logs"],
  ];
  for (const [line, message, command] of wrong) {
    it(`is refused: ${line}`, () => {
      assert.throws(
        () => parse(line),
        (error: unknown) => {
          assert.ok(error instanceof CliFault);
          assert.match(error.message, message);
          assert.equal(error.exitCode, EXIT.usage);
          assert.equal(error.remedy.includes(command ?? "`kubectl im help`"), true, error.remedy);
          return true;
        },
      );
    });
  }

  it("has times and numbers that are checked", () => {
    for (const text of ["", "0s", "10", "-5s", "5 m", "1d", "s"]) {
      const { flags } = parseCommandLine(["logs", `--since=${text}`]);
      assert.throws(() => flags.ms("since"), /--since takes a time such as 30s or 5m/, text);
    }
    for (const text of ["", "-1", "1.5", "many", "1e9"]) {
      const { flags } = parseCommandLine(["logs", `--tail=${text}`]);
      assert.throws(() => flags.number("tail"), /--tail takes a whole number/, text);
    }
    const { flags } = parse("logs --tail 0 --since 1h30m");
    assert.deepEqual([flags.number("tail"), flags.ms("since"), flags.ms("timeout")], [0, 5_400_000, undefined]);
  });

  it("has no two flags of one name or letter", () => {
    for (const { name, flags } of COMMANDS) assert.doesNotThrow(() => parse(`${name} --help`), name + flags.length);
  });
});
