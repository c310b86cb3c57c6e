// SPDX-License-Identifier: Apache-2.0
// The part of Lua 5.1 that scripts of this project use, translated to JavaScript once: the simulation runs the very
// files that real Redis runs.
import { one as first, library, type Redis } from "./lua-library.ts";
import { type Token, tokenize } from "./lua-tokens.ts";

/** A script that was compiled; `run` returns Lua's first result. */
export interface CompiledScript {
  run(redis: Redis, keys: readonly string[], args: readonly string[]): unknown;
}

/** @throws SyntaxError for Lua beyond the subset */
export function compileLua(source: string): CompiledScript {
  const code = new Compiler(tokenize(source)).chunk();
  const names = Object.keys(library);
  const make = new Function("L", "redis", "KEYS", "ARGV", `const {${names.join(",")}} = L;\n${code}`) as (
    ...values: unknown[]
  ) => unknown;
  return {
    run: (redis, keys, args) => first(make(library, redis, library.list(keys), library.list(args))),
  };
}

/** Binary operators by how tightly they bind. */
const BINARY: readonly Readonly<Record<string, string>>[] = [
  { or: "or" },
  { and: "and" },
  { "<": "lt", ">": "gt", "<=": "le", ">=": "ge", "==": "eq", "~=": "ne" },
  { "..": "concat" },
  { "+": "add", "-": "sub" },
  { "*": "mul", "/": "div", "%": "mod" },
];
const BLOCK_ENDS = new Set(["end", "else", "elseif", "until", "end of script"]);

class Compiler {
  readonly #tokens: readonly Token[];
  #at = 0;
  #temporary = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  chunk(): string {
    const code = this.#block();
    if (this.#peek().kind !== "end") throw this.#unexpected();
    return code;
  }

  #block(): string {
    const lines: string[] = [];
    while (!BLOCK_ENDS.has(this.#peek().text) || this.#peek().kind === "string") lines.push(this.#statement());
    return lines.join("\n");
  }

  #statement(): string {
    const { kind, text } = this.#peek();
    if (kind === "symbol" && text === ";") return this.#skip(";");
    if (kind === "keyword") {
      switch (text) {
        case "local":
          return this.#local();
        case "if":
          return this.#if();
        case "while":
          return this.#while();
        case "repeat":
          return this.#repeat();
        case "for":
          return this.#for();
        case "return":
          return this.#return();
        case "break":
          return `${this.#skip("break")}break;`;
        case "do":
          return this.#do();
        case "function":
          this.#skip("function");
          return `${this.#name()} = ${this.#functionBody()};`;
      }
    }
    return this.#assignmentOrCall();
  }

  #do(): string {
    this.#skip("do");
    return `{\n${this.#blockToEnd()}\n}`;
  }

  #blockToEnd(): string {
    const code = this.#block();
    this.#skip("end");
    return code;
  }

  #local(): string {
    this.#skip("local");
    if (this.#take("function")) {
      const name = this.#name();
      return `let ${name}; ${name} = ${this.#functionBody()};`;
    }
    const names = [this.#name()];
    while (this.#take(",")) names.push(this.#name());
    const values = this.#take("=") ? this.#expressions() : [];
    return this.#assign(names, values, (name, value) => `let ${name} = ${value};`);
  }

  #assignmentOrCall(): string {
    const targets = [this.#suffixed()];
    if (!this.#is(",") && !this.#is("=")) {
      if (!targets[0]?.endsWith(")")) throw this.#unexpected();
      return `${targets[0]};`;
    }
    while (this.#take(",")) targets.push(this.#suffixed());
    this.#skip("=");
    return this.#assign(targets, this.#expressions(), (target, value) => {
      const index = /^get\((.*)\)$/s.exec(target);
      return index ? `set(${index[1]}, ${value});` : `${target} = ${value};`;
    });
  }

  /** The values are all computed before the first is assigned; the last one may be a call with many results. */
  #assign(
    targets: readonly string[],
    values: readonly string[],
    write: (target: string, value: string) => string,
  ): string {
    if (targets.length === 1 && values.length === 1) return write(targets[0] ?? "", one(values[0] ?? ""));
    const name = `t${this.#temporary++}`;
    const writes = targets.map((target, at) => write(target, `${name}[${at}]`));
    return `const ${name} = ${this.#list(values)}; ${writes.join(" ")}`;
  }

  /** The values as an array. */
  #list(values: readonly string[]): string {
    return `[${values.map((value, at) => (at === values.length - 1 ? spread(value) : one(value))).join(", ")}]`;
  }

  #if(): string {
    this.#skip("if");
    let code = `if (truthy(${one(this.#expression())})) {\n`;
    this.#skip("then");
    code += `${this.#block()}\n}`;
    while (this.#take("elseif")) {
      code += ` else if (truthy(${one(this.#expression())})) {\n`;
      this.#skip("then");
      code += `${this.#block()}\n}`;
    }
    if (this.#take("else")) code += ` else {\n${this.#block()}\n}`;
    this.#skip("end");
    return code;
  }

  #while(): string {
    this.#skip("while");
    const condition = one(this.#expression());
    this.#skip("do");
    return `while (truthy(${condition})) {\n${this.#blockToEnd()}\n}`;
  }

  #repeat(): string {
    this.#skip("repeat");
    const code = this.#block();
    this.#skip("until");
    return `for (;;) {\n${code}\nif (truthy(${one(this.#expression())})) break;\n}`;
  }

  #for(): string {
    this.#skip("for");
    const names = [this.#name()];
    if (this.#take("=")) {
      const [from, to, step = "1"] = this.#expressions().map(one);
      this.#skip("do");
      const at = `t${this.#temporary++}`;
      const head = `let ${at} = arithmetic(${from}), ${at}e = arithmetic(${to}), ${at}s = arithmetic(${step})`;
      const body = `const ${names[0]} = ${at};\n${this.#blockToEnd()}`;
      return `for (${head}; ${at}s > 0 ? ${at} <= ${at}e : ${at} >= ${at}e; ${at} += ${at}s) {\n${body}\n}`;
    }
    while (this.#take(",")) names.push(this.#name());
    this.#skip("in");
    const iterated = one(this.#expression());
    this.#skip("do");
    return `for (const [${names.join(", ")}] of ${iterated}) {\n${this.#blockToEnd()}\n}`;
  }

  #return(): string {
    this.#skip("return");
    this.#take(";");
    if (BLOCK_ENDS.has(this.#peek().text) && this.#peek().kind !== "string") return "return undefined;";
    const values = this.#expressions();
    this.#take(";");
    return `return ${values.length === 1 ? values[0] : `results(${this.#list(values)})`};`;
  }

  #expressions(): string[] {
    const list = [this.#expression()];
    while (this.#take(",")) list.push(this.#expression());
    return list;
  }

  #expression(level = 0): string {
    const operators = BINARY[level];
    if (!operators) return this.#unary();
    let left = this.#expression(level + 1);
    for (let name = this.#operator(operators); name !== undefined; name = this.#operator(operators)) {
      // `..` binds to the right; for strings that makes no difference.
      const right = one(this.#expression(level + 1));
      if (name === "and" || name === "or") left = `${name}(${one(left)}, () => ${right})`;
      else left = `${name}(${one(left)}, ${right})`;
    }
    return left;
  }

  #operator(operators: Readonly<Record<string, string>>): string | undefined {
    const { kind, text } = this.#peek();
    if (kind === "string" || !Object.hasOwn(operators, text)) return undefined;
    this.#at++;
    return operators[text];
  }

  #unary(): string {
    if (this.#take("not")) return `!truthy(${one(this.#unary())})`;
    if (this.#take("#")) return `length(${one(this.#unary())})`;
    if (this.#take("-")) return `sub(0, ${one(this.#unary())})`;
    return this.#primary();
  }

  #primary(): string {
    const { kind, text } = this.#peek();
    if (kind === "number") return String(Number(this.#next().text));
    if (kind === "string") return JSON.stringify(this.#next().text);
    if (kind === "keyword") {
      if (text === "nil") return this.#constant("undefined");
      if (text === "true" || text === "false") return this.#constant(text);
      if (text === "function") {
        this.#skip("function");
        return this.#functionBody();
      }
    }
    if (this.#is("{")) return this.#table();
    return this.#suffixed();
  }

  #constant(code: string): string {
    this.#at++;
    return code;
  }

  /** A name or a bracket, with the indexes and calls behind it. */
  #suffixed(): string {
    let code: string;
    if (this.#take("(")) {
      code = `(${one(this.#expression())})`;
      this.#skip(")");
    } else code = this.#name();
    for (;;) {
      if (this.#take(".")) {
        const field = this.#field();
        if (code === "redis" && field === '"call"' && this.#is("(")) code = `command(redis${this.#arguments()})`;
        else code = LIBRARIES.has(code) ? `${code}[${field}]` : `get(${one(code)}, ${field})`;
      } else if (this.#take("[")) {
        code = `get(${one(code)}, ${one(this.#expression())})`;
        this.#skip("]");
      } else if (this.#is("(")) code = `call(${one(code)}${this.#arguments()})`;
      else if (this.#take(":")) {
        const method = this.#field();
        code = `call(get(${one(code)}, ${method}), ${one(code)}${this.#arguments()})`;
      } else return code;
    }
  }

  #arguments(): string {
    this.#skip("(");
    if (this.#take(")")) return "";
    const values = this.#expressions();
    this.#skip(")");
    return values.map((value, at) => `, ${at === values.length - 1 ? spread(value) : one(value)}`).join("");
  }

  #table(): string {
    this.#skip("{");
    const items: string[] = [];
    const fields: string[] = [];
    while (!this.#take("}")) {
      if (this.#peek().kind === "name" && this.#tokens[this.#at + 1]?.text === "=") {
        const key = this.#field();
        this.#skip("=");
        fields.push(`[${key}, ${one(this.#expression())}]`);
      } else if (this.#take("[")) {
        const key = one(this.#expression());
        this.#skip("]");
        this.#skip("=");
        fields.push(`[${key}, ${one(this.#expression())}]`);
      } else items.push(this.#expression());
      if (!this.#take(",")) this.#take(";");
    }
    return `table_of(${this.#list(items)}, [${fields.join(", ")}])`;
  }

  #functionBody(): string {
    this.#skip("(");
    const names: string[] = [];
    while (!this.#take(")")) {
      names.push(this.#name());
      this.#take(",");
    }
    return `((${names.join(", ")}) => {\n${this.#blockToEnd()}\n})`;
  }

  /** The name of a field, quoted. */
  #field(): string {
    const token = this.#next();
    if (token.kind !== "name") throw this.#unexpected(token);
    return JSON.stringify(token.text);
  }

  #name(): string {
    const token = this.#next();
    if (token.kind !== "name") throw this.#unexpected(token);
    // Names of JavaScript and of the compiler's own must not be meant.
    return token.text === "table" || token.text === "string" || token.text === "math"
      ? `lua_${token.text}`
      : safe(token.text);
  }

  #peek(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #next(): Token {
    return this.#tokens[this.#at++] as Token;
  }

  #is(text: string): boolean {
    return this.#peek().text === text && this.#peek().kind !== "string";
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #skip(text: string): string {
    if (!this.#take(text)) throw this.#unexpected();
    return "";
  }

  #unexpected(token = this.#peek()): SyntaxError {
    return new SyntaxError(`line ${token.line}: unexpected ${token.text}`);
  }
}

const GLOBALS = new Set([
  "redis",
  "KEYS",
  "ARGV",
  "tonumber",
  "tostring",
  "ipairs",
  "pairs",
  "unpack",
  "type",
  "error",
]);

/** Keeps variables of the script apart from those of the generated code. */
function safe(name: string): string {
  return GLOBALS.has(name) ? name : `v_${name}`;
}

/** Tables of functions that scripts cannot change. */
const LIBRARIES: ReadonlySet<string> = new Set(["lua_table", "lua_string", "lua_math"]);

/** Cuts a call down to its first result. */
function one(code: string): string {
  return code.startsWith("call(") ? `one(${code})` : code;
}

/** All results of a call, or the one value. */
function spread(code: string): string {
  return code.startsWith("call(") ? `...all(${code})` : code;
}
