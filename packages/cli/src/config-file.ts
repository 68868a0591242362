import { readFileSync } from "node:fs";
import { type ConfigSource, type Loaded, StackError } from "@smartstack/core";
import { loadStackConfig, type Role, type StackConfig } from "./config.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What stands for a file when none is given. */
const NO_FILE = "(no config file)";

/** @throws StackError CONFIG_INVALID when the file cannot be read. */
export function readSource(file: string | undefined, env: Environment): ConfigSource {
  if (file === undefined) return { file: NO_FILE, text: "", env };
  return { file, text: readText(file, file), env };
}

/**
 * Reads a configuration with the secrets it points to.
 * @throws StackError CONFIG_INVALID, one line per fault.
 */
export function readStackConfig(role: Role, source: ConfigSource): Loaded<StackConfig> {
  const { value, warnings } = loadStackConfig(role, source);
  const file = value.admin?.token_file;
  if (value.admin === undefined || file === undefined) return { value, warnings };
  const token = readText(file, `${source.file}: admin.token_file ${file}`).split("\n", 1)[0]?.trim() ?? "";
  if (token === "")
    throw configError(`${source.file}: admin.token_file: ${file} is empty, expected a token in its first line`);
  return { value: { ...value, admin: { ...value.admin, token } }, warnings };
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw configError(`${what}: ${reasonOf(cause)}`, cause);
  }
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "no such file";
  if (code === "EACCES") return "not readable by this user";
  if (code === "EISDIR") return "is a directory, expected a file";
  return String(error);
}

function configError(message: string, cause?: unknown): StackError {
  return new StackError("CONFIG_INVALID", message, { side: "config", retry: "never", cause });
}
